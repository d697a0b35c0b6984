"""A candidate compared with the current version, and what became of it, noted whichever way it went."""

from pathlib import Path

from autorule.errors import ConfigError, InputError, RuleSetError
from autorule.evaluation.comparing import EvaluatedRun, read_run
from autorule.registry.folder import RuleSetRegistry
from autorule.registry.history import Event
from autorule.registry.promotion import NotComparedError, decide, told_prompts
from autorule.rules.rule_sets import RuleSet
from autorule.statistics.splits import PROMOTION_SHARE


def promote(
    registry: RuleSetRegistry,
    rule_set: RuleSet,
    candidate_run: Path,
    current_run: Path,
    by: str,
    reason: str,
    share: float = PROMOTION_SHARE,
    seed: int = 0,
    against: str | None = None,
    run: str | None = None,
) -> Event:
    """Makes a rule set current if it beats the current version on the promotion split; else keeps that one.

    The runs are evaluations of the two sets on the same pairs. What happened is an event (promoted or kept) with the
    decision, and the candidate a version either way. `against`: the version that was current when `current_run` was
    made; `run`: noted in the event. Raises ConfigError when there is no current version, NotComparedError when the rule
    set is it, when another than `against` is, and as `decide`; InputError as `decide` and `read_run`: then nothing was
    compared, and nothing is noted.
    """
    registry.check_known()
    with registry.writing(by, reason):
        pointer = registry.current()
        if pointer is None:
            raise ConfigError(f"{registry.name} has no current version to beat; publish one, or roll back to one")
        if against is not None and pointer.version != against:
            raise NotComparedError(
                f"{registry.name} {pointer.version} became current while the candidate was compared with {against}; "
                "evaluate it and compare again: a refresh does so under the same extraction.run_id"
            )
        before = registry.pointed(pointer)
        if before == rule_set:
            raise NotComparedError(f"the candidate is {registry.name} {pointer.version}, which is current already")
        current = _read(current_run, before, f"the run of the current version, {pointer.version} (--current)")
        candidate = _read(candidate_run, rule_set, "the candidate's run (--candidate)")
        looks = looks_at(registry.history(), candidate.data_sha256, told_prompts(candidate, share))
        decision = decide(current, candidate, looks, share=share, seed=seed)
        version, _ = registry.keep(rule_set, by, reason)
        told = f"{reason.strip()}; against {pointer.version}, {decision.reason}"
        return registry.note("promoted" if decision.promote else "kept", version, by, told, decision, run)


def _read(run: Path, rule_set: RuleSet, what: str) -> EvaluatedRun:
    try:
        return read_run(run, rule_set)
    except (InputError, RuleSetError) as error:
        raise InputError(f"{what}: {error}") from error


def looks_at(events: list[Event], data_sha256: str, prompts: tuple[str, ...]) -> int:
    """How many comparisons the history holds, whichever way they went, on this data or with any of these prompts."""
    made = [event.decision for event in events if event.decision is not None]
    return sum(one.data_sha256 == data_sha256 or not set(prompts).isdisjoint(one.prompts) for one in made)
