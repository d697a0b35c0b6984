"""The same extraction under several seeds, and how much of the rule set recurs."""

from pathlib import Path

from prefect import flow

from autorule.config.runs import ExtractConfig
from autorule.extraction.stability import Stability, stability
from autorule.flows.extract_rules import extract_rules
from autorule.rules.rule_sets import load_rule_set
from autorule.runs.budget import Budget, budget_of
from autorule.runs.files import RULE_SET
from autorule.runs.run_folder import completed_before
from autorule.storage import write_text
from autorule.tasks.limits import gpu_slot
from autorule.tasks.run_names import run_id_for, run_name
from autorule.tasks.steps import in_flow_run


@flow(name="repeat-extraction", flow_run_name=run_name)
def repeat_extraction(config: ExtractConfig) -> Stability:
    """Extracts `repeats` times, with the seeds from the run's own upwards, and writes `RUN-stability.json` beside the
    run folders.

    The budget is one for all. A run that fails or is stopped ends the whole; under the same run id it goes on, and
    runs that completed are not repeated. Raises what extract_rules raises.
    """
    stem = run_id_for(config.run_id, config.pairs)
    seeds = range(config.seed, config.seed + config.repeats)
    run_ids = [f"{stem}-seed{seed}" for seed in seeds]
    total = Budget(config.budget)
    with gpu_slot(*config.models.values()):  # one for all runs: models stay loaded between them
        for seed, run_id in zip(seeds, run_ids, strict=True):
            _extract(config.with_seed(seed, run_id), config.outputs / run_id, total)
    rule_sets = [load_rule_set(config.outputs / run_id / RULE_SET) for run_id in run_ids]
    report = stability(run_ids, seeds, rule_sets)
    write_text(config.outputs / f"{stem}-stability.json", report.model_dump_json(indent=2) + "\n")
    return report


def _extract(config: ExtractConfig, folder: Path, total: Budget) -> None:
    """Extracts with what is left of the budget, unless that is done already."""
    if completed_before(folder, config, {"pairs": config.pairs}):
        return
    config = config.model_copy(update={"budget": total.left()})
    extract = extract_rules if in_flow_run() else extract_rules.fn
    extract(config)
    total.add(budget_of(folder, config.budget))
