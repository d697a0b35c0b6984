"""New pairs in; a better rule set is current, or the old one stays, with the reason."""

from pathlib import Path
from typing import Any

from prefect import Flow, flow

from autorule.config.runs import RunConfig
from autorule.flows.evaluate_rules import evaluate_rules
from autorule.flows.extract_rules import extract_rules
from autorule.registry.folder import RuleSetRegistry
from autorule.registry.refresh_config import RefreshConfig
from autorule.runs.files import RULE_SET
from autorule.runs.run_folder import completed_before
from autorule.tasks.limits import gpu_slot
from autorule.tasks.refreshing import (
    Outcome,
    audit_candidate,
    check_before_refresh,
    choose_candidate,
    done_before,
    promote_if_better,
    publish_first,
    show_outcome,
)
from autorule.tasks.run_names import run_id_for, run_name
from autorule.tasks.steps import in_flow_run


@flow(name="refresh-rules", flow_run_name=run_name)
def refresh_rules(config: RefreshConfig) -> Outcome:
    """Extracts, evaluates, selects, audits, and promotes only what beats the current version on unseen prompts.

    Under the same extraction.run_id a refresh that was stopped goes on, and runs that completed are not repeated.
    Raises what the flows raise, and before any model is asked what would end it later; a candidate that is not good
    enough is no error but an outcome.
    """
    check_before_refresh(config)
    with gpu_slot(*config.extraction.models.values()):  # one for all runs: models stay loaded between them
        stem = run_id_for(config.extraction.run_id, config.extraction.pairs)
        extraction = config.extraction.model_copy(update={"run_id": f"{stem}-extraction"})
        extracted = _run_once(extract_rules, extraction, {"pairs": extraction.pairs})
        evaluated = _evaluated(config, f"{stem}-evaluation", extracted / RULE_SET, candidate=False)
        candidate = choose_candidate(config, evaluated)
        if isinstance(candidate, Outcome):
            return show_outcome(config, candidate)
        outcome = done_before(config, candidate, stem)
        outcome = outcome or audit_candidate(config, candidate) or publish_first(config, candidate, stem)
        if outcome is None:
            registry = RuleSetRegistry(config.registry, config.name)
            version = registry.known_current().version
            candidate_run = _evaluated(config, f"{stem}-candidate", candidate, candidate=True)
            current_run = _evaluated(config, f"{stem}-current-{version}", registry.path(version), candidate=True)
            outcome = promote_if_better(config, candidate, candidate_run, current_run, version, stem)
        return show_outcome(config, outcome)


def _evaluated(config: RefreshConfig, run_id: str, rules: Path, candidate: bool) -> Path:
    settings = config.evaluation(run_id, rules, candidate)
    return _run_once(evaluate_rules, settings, {"pairs": settings.pairs, "rules": settings.rules})


def _run_once(run: Flow[..., Any], config: RunConfig, inputs: dict[str, Path]) -> Path:
    """The folder of the run, which is not repeated when it completed before."""
    assert config.run_id is not None
    folder = config.outputs / config.run_id
    if not completed_before(folder, config, inputs):
        (run if in_flow_run() else run.fn)(config)
    return folder
