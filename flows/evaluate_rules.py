"""Held-out pairs and a rule set in, statistics of each rule and of the set out."""

from prefect import flow

from autorule.evaluation.config import EvaluateConfig
from autorule.runs.manifest import RunManifest
from autorule.runs.run_folder import Run
from autorule.tasks.artifacts import shown
from autorule.tasks.baselines import measure_baselines, measure_flips
from autorule.tasks.evaluation import check_before_evaluation, evaluate_verdicts, split_held_out
from autorule.tasks.preparation import use_rule_set
from autorule.tasks.run_names import run_id_for, run_name
from autorule.tasks.runners import shards_on
from autorule.tasks.verification import verify_completions


@flow(name="evaluate-rules", flow_run_name=run_name)
def evaluate_rules(config: EvaluateConfig) -> RunManifest:
    """Verifies both sides of held-out pairs and measures what the rules are worth.

    Leaves everything in a run folder and returns its manifest. Raises InputError for pairs whose prompts the rules were
    mined from, unless that is allowed, RunFailedError when results are missing.
    """
    rule_set = check_before_evaluation(config)
    inputs = {"pairs": config.pairs, "rules": config.rules}
    run_id = run_id_for(config.run_id, config.pairs)
    with shown(Run.start("evaluate-rules", config, inputs, run_id)) as run, shards_on(config):
        use_rule_set(run, rule_set)
        n_shards = split_held_out(run, config, rule_set)
        verify_completions(run, rule_set, config.model, config, n_shards)
        measure_baselines(run, rule_set, config, n_shards)
        measure_flips(run, rule_set, config, n_shards)
        evaluate_verdicts(run, rule_set, config)
    return run.manifest
