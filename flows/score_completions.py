"""Completions and a rule set in, verdicts and rewards out."""

from prefect import flow

from autorule.config.runs import ScoreConfig
from autorule.runs.manifest import RunManifest
from autorule.runs.run_folder import Run
from autorule.tasks.artifacts import shown
from autorule.tasks.preparation import check_before_scoring, split_completions, use_rule_set
from autorule.tasks.run_names import run_id_for, run_name
from autorule.tasks.runners import shards_on
from autorule.tasks.verification import verify_completions


@flow(name="score-completions", flow_run_name=run_name)
def score_completions(config: ScoreConfig) -> RunManifest:
    """Scores completions against a rule set.

    Leaves everything in a run folder and returns its manifest. Raises RunFailedError when results are missing.
    """
    rule_set = check_before_scoring(config)
    inputs = {"completions": config.completions, "rules": config.rules}
    run_id = run_id_for(config.run_id, config.completions)
    with shown(Run.start("score-completions", config, inputs, run_id)) as run, shards_on(config):
        use_rule_set(run, rule_set)
        n_shards = split_completions(run, config)
        verify_completions(run, rule_set, config.model, config, n_shards)
    return run.manifest
