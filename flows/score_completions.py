"""Completions and a rule set in, verdicts and rewards out."""

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from autorule.config import ScoreConfig
from autorule.manifest import RunManifest
from autorule.run_folder import Run
from autorule.tasks.artifacts import shown
from autorule.tasks.preparation import check_before_scoring, split_completions, use_rule_set
from autorule.tasks.run_names import run_name
from autorule.tasks.shards import PARALLEL_SHARDS
from autorule.tasks.verification import verify_completions


@flow(name="score-completions", flow_run_name=run_name, task_runner=ThreadPoolTaskRunner(max_workers=PARALLEL_SHARDS))
def score_completions(config: ScoreConfig) -> RunManifest:
    """Scores completions against a rule set.

    Leaves everything in a run folder and returns its manifest. Raises RunFailedError when results are missing.
    """
    rule_set = check_before_scoring(config)
    with shown(
        Run.start("score-completions", config, {"completions": config.completions, "rules": config.rules})
    ) as run:
        use_rule_set(run, rule_set)
        n_shards = split_completions(run, config)
        verify_completions(run, rule_set, config.model, config, n_shards)
    return run.manifest
