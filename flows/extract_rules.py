"""The main path: preference pairs in, a rule set out."""

from prefect import flow

from autorule.config.runs import ExtractConfig
from autorule.runs.manifest import RunManifest
from autorule.runs.run_folder import Run
from autorule.tasks.artifacts import shown
from autorule.tasks.chain_check import check_chains
from autorule.tasks.interpretation import interpret_pairs
from autorule.tasks.mining import mine_rules
from autorule.tasks.preparation import check_before_extraction, draw_held_out, draw_pairs
from autorule.tasks.run_names import run_id_for, run_name
from autorule.tasks.runners import shards_on
from autorule.tasks.synthesis import synthesize_rules
from autorule.tasks.verification import verify_completions


@flow(name="extract-rules", flow_run_name=run_name)
def extract_rules(config: ExtractConfig) -> RunManifest:
    """Mines a rule set from preference pairs, and scores held-out pairs with it where there are some.

    Leaves everything in a run folder and returns its manifest. Raises RunFailedError when results are missing.
    """
    check_before_extraction(config)
    run_id = run_id_for(config.run_id, config.pairs)
    with shown(Run.start("extract-rules", config, {"pairs": config.pairs}, run_id)) as run, shards_on(config):
        n_shards = draw_pairs(run, config)
        interpret_pairs(run, config, n_shards)
        if config.interpretation.check_chains != "off":
            check_chains(run, config, n_shards)
        mine_rules(run, config, n_shards)
        rule_set = synthesize_rules(run, config)
        if config.held_out:
            n_held_out = draw_held_out(run, config, rule_set)
            verify_completions(run, rule_set, config.verifier or config.model, config, n_held_out)
    return run.manifest
