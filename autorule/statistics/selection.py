"""Which rules to keep: those that agree with people beyond chance, each once."""

from typing import Literal, NamedTuple

import numpy as np

from autorule.statistics.agreement import FALSE_DISCOVERY_RATE, Agreement, measure_agreement
from autorule.statistics.matrix import PairMatrix
from autorule.statistics.redundancy import duplicates, phi_of_verdicts, shared_verdicts

Decision = Literal["keep", "reversed", "unproven", "duplicate"]


class Selected(NamedTuple):
    """What becomes of one rule."""

    rule_id: str
    decision: Decision
    reason: str
    duplicate_of: str | None = None


def select_rules(
    matrix: PairMatrix,
    rate: float = FALSE_DISCOVERY_RATE,
    agreement: Agreement | None = None,
) -> list[Selected]:
    """A decision for each rule, in the order of the matrix.

    Kept are rules whose agreement is above a half at the false discovery rate; of rules that say the same, the one that
    is surest to agree (by the lower end of its interval).
    """
    found = agreement if agreement is not None else measure_agreement(matrix, rate)
    phi, shared = phi_of_verdicts(matrix), shared_verdicts(matrix)
    same = duplicates(phi, shared)
    kept: list[int] = []
    decisions: dict[int, Selected] = {}
    for i in sorted(range(matrix.n_rules), key=lambda i: -np.nan_to_num(found.low[i])):
        rule_id, told = matrix.rule_ids[i], _told(found, i)
        twins = [j for j in kept if same[i, j]]
        if not found.significant[i]:
            decisions[i] = Selected(rule_id, "unproven", f"{told}{_not_proven(found, i)}")
        elif found.agreement[i] < 0.5:
            decisions[i] = Selected(rule_id, "reversed", f"{told}: people prefer what breaks it")
        elif twins:
            other = matrix.rule_ids[twins[0]]
            told = f"correlate with those of {other} with {phi[i, twins[0]]:.2f}, over {shared[i, twins[0]]:.0f}"
            reason = f"its verdicts {told} that both have"
            decisions[i] = Selected(rule_id, "duplicate", reason, other)
        else:
            kept.append(i)
            decisions[i] = Selected(rule_id, "keep", told)
    return [decisions[i] for i in range(matrix.n_rules)]


def _not_proven(found: Agreement, i: int) -> str:
    if found.p_value[i] > 0.05:
        return ": no more than chance would do"
    n_rules = len(found.p_value)
    return f": of {n_rules} rules, one may do so by chance (p = {found.adjusted_p[i]:.2g} when all are counted)"


def _told(found: Agreement, i: int) -> str:
    if not found.n_discordant[i]:
        return "it tells no pair apart"
    return (
        f"agrees on {found.agreement[i]:.0%} of {found.n_discordant[i]} pairs that it tells apart "
        f"({found.low[i]:.0%} to {found.high[i]:.0%}, p = {found.p_value[i]:.2g})"
    )
