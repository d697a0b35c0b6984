"""The steps of a refresh between its flows: choose, audit, promote."""

import hashlib
from pathlib import Path
from typing import Literal

from prefect.artifacts import create_markdown_artifact

from autorule.audit.hacking import AuditConfig, audit_rule_set
from autorule.errors import ConfigError, RuleSetError
from autorule.evaluation.apply import select
from autorule.evaluation.reading import matrix_pairs, read_matrix
from autorule.export.rubrics import escape_markdown
from autorule.preferences.fields import FieldMap
from autorule.preferences.readers import check_file
from autorule.preferences.reading import read_pairs
from autorule.records import Record
from autorule.registry.folder import RuleSetRegistry
from autorule.registry.promoting import promote
from autorule.registry.promotion import NotComparedError
from autorule.registry.refresh_config import RefreshConfig
from autorule.rules.rule_sets import dump_rule_set, load_rule_set
from autorule.rules.saving import save_rule_set
from autorule.runs.files import RULE_SET
from autorule.statistics.choosing import methods
from autorule.tasks.never_fatal import never_fatal
from autorule.tasks.preparation import check_model
from autorule.tasks.steps import in_flow_run, step
from autorule.terminal.audit import exploit_message, unmeasured_message

SELECTED = "07_selected_rule_set.json"


class Outcome(Record):
    """What became of a candidate."""

    action: Literal["published", "promoted", "kept"]
    reason: str
    version: str | None = None
    """Of the candidate in the registry; None where it did not come so far."""


def check_before_refresh(config: RefreshConfig) -> None:
    """Raises what would end the refresh after its extraction: a name or weighting that can't be, a broken registry,
    held-out pairs that can't be read, a verifier that does not answer."""
    names = [method.name for method in methods()]
    if config.select_by not in ("best", *names):
        raise ConfigError(f"select_by {config.select_by!r}: choose best, {', '.join(names)}")
    registry = RuleSetRegistry(config.registry, config.name)
    registry.history()
    if (pointer := registry.current()) is not None:
        registry.pointed(pointer)
    check_file(config.held_out)
    settings = config.evaluation("check", config.held_out, True)
    next(read_pairs(config.held_out, FieldMap(settings.columns, settings.winner_values)), None)
    check_model(settings.model)


@step("select-rules")
def choose_candidate(config: RefreshConfig, evaluated: Path) -> Path | Outcome:
    """The file of the rules that dev keeps, weighed, without the promotion split; why there is none where dev keeps
    nothing. Raises ConfigError for too few prompts."""
    rule_set = load_rule_set(evaluated / RULE_SET)
    matrix = read_matrix(evaluated, rule_set)
    pairs = matrix_pairs(evaluated, matrix)
    seed, rate = config.extraction.seed, 0.05
    try:
        chosen, _ = select(
            rule_set, matrix, pairs, config.select_by, config.by, rate, seed=seed, hold_out_promotion=True
        )
    except RuleSetError as error:
        return Outcome(action="kept", reason=str(error))
    save_rule_set(evaluated / SELECTED, chosen)
    return evaluated / SELECTED


@step("audit-rules")
def audit_candidate(config: RefreshConfig, candidate: Path) -> Outcome | None:
    """Why the candidate is refused; None when no canary passes too often."""
    if not config.audit_prompts:
        return None
    source = config.extraction
    settings = AuditConfig(
        model=source.verifier or source.model,
        cache=source.cache,
        columns=config.evaluation("audit", candidate, True).columns,
        winner_values=source.winner_values,
        limit=config.audit_prompts,
        seed=source.seed,
        max_exploit_rate=config.max_exploit_rate,
        max_unscored=config.max_unscored,
    )
    found = audit_rule_set(load_rule_set(candidate), config.held_out, settings)
    if found.unmeasured:
        return Outcome(action="kept", reason=unmeasured_message(found))
    return Outcome(action="kept", reason=exploit_message(found)) if found.exploited else None


def done_before(config: RefreshConfig, candidate: Path, run: str) -> Outcome | None:
    """What this refresh did with the candidate before it was cut off, so that no look counts twice; None where it did
    not come so far."""
    registry = RuleSetRegistry(config.registry, config.name)
    sha256 = hashlib.sha256(dump_rule_set(load_rule_set(candidate)).encode()).hexdigest()
    done = [event for event in registry.history() if event.run == run and event.sha256 == sha256]
    if not done:
        return None
    with registry.writing(config.by, f"refresh {run}"):
        pass  # a switch that was cut off is finished
    if done[-1].action == "kept":
        return Outcome(action="kept", reason=done[-1].reason, version=done[-1].version)
    action: Literal["promoted", "published"] = "published" if done[-1].decision is None else "promoted"
    return Outcome(action=action, reason=done[-1].reason, version=done[-1].version)


@step("publish-rules")
def publish_first(config: RefreshConfig, candidate: Path, run: str) -> Outcome | None:
    """Publishes the candidate where the name has no current version yet, and it is current; None where it has one."""
    registry = RuleSetRegistry(config.registry, config.name)
    if registry.current() is not None:
        return None
    published = registry.publish(load_rule_set(candidate), config.by, f"refresh {run}", run)
    if not published.is_current:  # another was quicker, and has to be beaten
        return None
    return Outcome(action="published", reason="the first of its name", version=published.version)


@step("promote-rules")
def promote_if_better(
    config: RefreshConfig, candidate: Path, candidate_run: Path, current_run: Path, version: str, run: str
) -> Outcome:
    """Promotes the candidate when it beats the current set, `version`, on the promotion split; else says why not."""
    registry = RuleSetRegistry(config.registry, config.name)
    rule_set, reason = load_rule_set(candidate), f"refresh {run}"
    try:
        event = promote(registry, rule_set, candidate_run, current_run, config.by, reason, against=version, run=run)
    except NotComparedError as error:  # too few prompts, too many looks, the same set
        return Outcome(action="kept", reason=str(error))
    action: Literal["promoted", "kept"] = "promoted" if event.action == "promoted" else "kept"
    return Outcome(action=action, reason=event.reason, version=event.version)


def show_outcome(config: RefreshConfig, outcome: Outcome) -> Outcome:
    """The outcome, also as an artifact of a flow run."""
    if in_flow_run():
        with never_fatal():
            version = f" {outcome.version}" if outcome.version else ""
            text = f"**{config.name}{version}: {outcome.action}**\n\n{escape_markdown(outcome.reason)}"
            create_markdown_artifact(text, key="promotion", description="What became of the candidate")
    return outcome
