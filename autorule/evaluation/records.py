"""What an evaluation says, as records: 06_evaluation.json of a run."""

from autorule.evaluation.selection import Decision
from autorule.records import Record


class Interval(Record):
    value: float | None
    low: float | None
    high: float | None


class RuleStatistics(Record):
    """One rule on held-out pairs. Shares are None where nothing was there to count."""

    rule_id: str
    text: str
    n_pairs: int
    coverage: float
    """Share of pairs with a value on both sides."""
    discordant_rate: float | None
    """Of those, the share that the rule tells apart."""
    n_discordant: int
    agreement: Interval
    """Share of discordant pairs whose preferred side satisfies the rule; Wilson's interval at the effective size."""
    n_effective: float
    basis: str
    """What interval and p-value go by: pairs, or the effective sample size of pairs that share prompts."""
    p_value: float
    significant: bool
    decision: Decision
    reason: str
    saturation: float | None
    """Share of yes among yes and no: a rule that nearly all satisfy teaches nothing."""
    na_rate: float
    unscored_rate: float
    length_correlation: float | None
    """Of the verdict with the length of the response, over both sides."""
    length_matched_agreement: Interval
    """Agreement over pairs whose lengths differ by less than a fifth."""
    gain: float | None
    """Pair accuracy of the set with the rule minus without it."""
    nearest_rule: str | None
    nearest_phi: float | None
    """The rule whose verdicts correlate most with it."""


class Accuracy(Record):
    """A way of scoring the sides of pairs."""

    name: str
    accuracy: Interval
    """Share of pairs whose preferred side scores higher, ties a half; bootstrap over prompts."""
    over_uniform: Interval | None = None
    """Minus the accuracy of uniform hard verdicts, paired."""
    n_pairs: int
    """Pairs with a score on both sides."""
    tied: float | None
    """Share of these whose sides score the same."""


class SliceAccuracy(Record):
    column: str
    value: str
    accuracy: Interval
    n_pairs: int


class Evaluation(Record):
    n_pairs: int
    n_prompts: int
    rules: tuple[RuleStatistics, ...]
    accuracies: tuple[Accuracy, ...]
    slices: tuple[SliceAccuracy, ...] = ()
    false_discovery_rate: float
    bootstrap_rounds: int
    seed: int
    leaked_pairs: int = 0
    """Pairs whose prompt the rules were mined from; counted only where that was allowed."""
