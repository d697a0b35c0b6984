"""A scored completion: its reward, all that it was made of, and what trainers log of many."""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from autorule.errors import UnscoredError
from autorule.records import RewardRecord, Rule, Verdict


class Scored(NamedTuple):
    """One completion: the reward, and all that it was made of."""

    reward: float | None
    reason: str | None
    """Why there is no reward."""
    rules: RewardRecord
    """The rule reward alone."""
    verdicts: tuple[Verdict, ...]
    aspects: dict[str, float | None]
    """Aspect -> fraction over its rules."""
    reward_model: float | None = None
    """The normalised score of the reward model, where there is one."""
    stays_unscored: bool = False
    """Where there is no reward: whether it is for what the completion itself holds, which no later answer mends."""

    def error(self) -> UnscoredError:
        """What is raised where a completion without a reward is an error."""
        final = self.stays_unscored or (self.rules.reward is None and self.rules.n_unscored == 0)
        return UnscoredError(f"a completion has no reward: {self.reason}", final)


def metrics(scored: Sequence[Scored], rules: Sequence[Rule]) -> dict[str, float]:
    """Name -> mean over the completions; the same names for the same rules, NaN where nothing was scored."""
    by_rule: dict[str, list[float]] = {rule.rule_id: [] for rule in rules}
    for verdict in (verdict for one in scored for verdict in one.verdicts):
        if verdict.verdict in ("yes", "no"):
            by_rule[verdict.rule_id].append(float(verdict.verdict == "yes"))
    aspects = sorted({rule.aspect or "other" for rule in rules}) if any(r.aspect for r in rules) else []
    return {
        "fraction": _mean([one.rules.fraction for one in scored]),
        "unscored": _mean([float(one.reward is None) for one in scored]),
        **{f"aspect/{aspect}": _mean([one.aspects.get(aspect) for one in scored]) for aspect in aspects},
        **{f"rule/{rule_id}": _mean(values) for rule_id, values in by_rule.items()},
    }


def satisfied_text(record: RewardRecord) -> str:
    """How many rules are satisfied, in a few characters."""
    not_applicable = f" ({record.n_not_applicable} n/a)" if record.n_not_applicable else ""
    return f"{record.n_satisfied}/{record.n_scored}{not_applicable}"


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return fmean(known) if known else math.nan
