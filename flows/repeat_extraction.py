"""The same extraction under several seeds, and how much of the rule set recurs."""

from prefect import flow

from autorule.config import ExtractConfig
from autorule.flows.extract_rules import extract_rules
from autorule.rule_sets import load_rule_set
from autorule.run_folder import RULE_SET, new_run_id, write_text
from autorule.stability import Stability, stability
from autorule.tasks.steps import in_flow_run


@flow(name="repeat-extraction")
def repeat_extraction(config: ExtractConfig) -> Stability:
    """Extracts `repeats` times, with the seeds from the run's own upwards, and writes `RUN-stability.json` beside the
    run folders. A run that failed ends the whole; those before it are on disk, and their answers in the cache.
    """
    stem = config.run_id or new_run_id(config.pairs)
    extract = extract_rules if in_flow_run() else extract_rules.fn
    seeds = range(config.seed, config.seed + config.repeats)
    manifests = [extract(config.with_seed(seed, f"{stem}-seed{seed}")) for seed in seeds]
    rule_sets = [load_rule_set(config.outputs / manifest.run_id / RULE_SET) for manifest in manifests]
    report = stability([manifest.run_id for manifest in manifests], seeds, rule_sets)
    write_text(config.outputs / f"{stem}-stability.json", report.model_dump_json(indent=2) + "\n")
    return report
