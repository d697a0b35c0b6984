"""Verdicts on both sides of held-out pairs, as arrays: all that the statistics of rules look at."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

YES, NO, NOT_APPLICABLE, UNSCORED = 1, 0, 2, -1
ROUNDING = 1e-9
NA_VALUES = {"excluded": np.nan, "satisfied": 1.0, "unsatisfied": 0.0}
BY_PAIR_AND_RULE = ("chosen", "rejected", "chosen_p", "rejected_p")
BY_PAIR = (
    "prompts", "chosen_length", "rejected_length", "strength", "chosen_first", "chosen_model", "rejected_model",
    "one_call",
)  # fmt: skip


@dataclass(frozen=True)
class PairMatrix:
    """n pairs by K rules. Labels are 1 yes, 0 no, 2 not applicable, -1 unscored."""

    rule_ids: tuple[str, ...]
    chosen: NDArray[np.int8]
    """Labels of the preferred side, n × K."""
    rejected: NDArray[np.int8]
    prompts: Ints
    """A number for the prompt of each pair: pairs of one prompt are not independent of each other."""
    chosen_p: Floats | None = None
    """P(yes), n × K, NaN where there is none."""
    rejected_p: Floats | None = None
    chosen_length: Floats | None = None
    rejected_length: Floats | None = None
    strength: Floats | None = None
    """How strongly the side was preferred, positive; NaN where nothing is known."""
    chosen_first: Floats | None = None
    """1 where the data gave the preferred side first, 0 where second, NaN where it gave no order."""
    chosen_model: Floats | None = None
    """Score of a reward model, NaN where it gave none."""
    rejected_model: Floats | None = None
    one_call: Floats | None = None
    """Probability by which the verifier, asked once about both, prefers the preferred side: mean over both orders."""
    slices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    na_policy: str = "excluded"

    @property
    def n_pairs(self) -> int:
        return len(self.prompts)

    @property
    def n_prompts(self) -> int:
        return len(np.unique(self.prompts))

    @property
    def n_rules(self) -> int:
        return len(self.rule_ids)

    def values(self, soft: bool = False) -> tuple[Floats, Floats]:
        """(chosen, rejected): 1 for yes and 0 for no (P(yes) where `soft`), NaN where a rule counts for nothing."""
        return self._values(self.chosen, self.chosen_p, soft), self._values(self.rejected, self.rejected_p, soft)

    def scored(self, min_scored: float) -> Bools:
        """Whether each pair has verdicts, of whatever kind, of so great a share of the rules on both sides. What the
        verifier failed on says nothing about rules; a rule that does not apply is silent, and that is a verdict."""
        shares = [(labels != UNSCORED).mean(axis=1) for labels in (self.chosen, self.rejected)]
        return np.asarray(np.minimum(*shares) >= min_scored - ROUNDING)

    def differences(self) -> Floats:
        """Chosen minus rejected for each pair and rule, -1, 0 or 1; NaN where one of the sides has no value."""
        chosen, rejected = self.values()
        return chosen - rejected

    def of(self, pairs: NDArray[Any] | None = None, rules: Sequence[int] | None = None) -> "PairMatrix":
        """The matrix of some pairs (a mask, or indices) and some rules (indices)."""
        rows = np.arange(self.n_pairs)[slice(None) if pairs is None else pairs]
        columns = np.arange(self.n_rules) if rules is None else np.asarray(rules, dtype=np.int64)
        changes: dict[str, Any] = {name: getattr(self, name) for name in (*BY_PAIR_AND_RULE, *BY_PAIR)}
        for name, values in changes.items():
            if values is not None:
                changes[name] = values[np.ix_(rows, columns)] if name in BY_PAIR_AND_RULE else values[rows]
        slices = {name: [values[i] for i in rows] for name, values in self.slices.items()}
        return dataclasses.replace(self, rule_ids=tuple(self.rule_ids[i] for i in columns), slices=slices, **changes)

    def _values(self, labels: NDArray[np.int8], p_yes: Floats | None, soft: bool) -> Floats:
        values = np.where((labels == YES) | (labels == NO), labels, np.nan).astype(np.float64)
        if soft and p_yes is not None:
            values = np.where(np.isnan(values) | np.isnan(p_yes), values, p_yes)
        values[labels == NOT_APPLICABLE] = NA_VALUES[self.na_policy]
        return values
