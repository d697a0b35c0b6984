"""What an evaluation says, as records: 06_evaluation.json of a run."""

from autorule.records import Record
from autorule.statistics.selection import Decision

Matrix = tuple[tuple[float | None, ...], ...]


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
    """Share of pairs where the rule counts on both sides: has a verdict, and one other than N/A unless the policy gives
    that a value."""
    discordant_rate: float | None
    """Of those, the share that the rule tells apart."""
    n_discordant: int
    agreement: Interval
    """Share of discordant pairs whose preferred side satisfies the rule; Wilson's interval at the effective size."""
    n_effective: float
    basis: str
    """What interval and p-value go by: pairs, or the effective sample size of pairs that share prompts."""
    p_value: float
    adjusted_p: float | None = None
    """The p-value when all rules are counted (Benjamini and Hochberg)."""
    significant: bool
    decision: Decision
    reason: str
    duplicate_of: str | None = None
    """The rule that stays in its place."""
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
    weight: float
    """In the rule set that was evaluated."""
    tokens: int
    """Of its text, estimated at four bytes each: with the words of the question around it, what the rule adds to every
    conversation that is verified."""
    flips: dict[str, float | None] = {}
    """What was changed in the question -> share of verdicts that changed with it; empty where nothing was tried."""


class Accuracy(Record):
    """A way of scoring the sides of pairs."""

    name: str
    accuracy: Interval
    """Share of pairs whose preferred side scores higher, ties a half; bootstrap over prompts."""
    over_uniform: Interval | None = None
    """Minus the accuracy of uniform hard verdicts, paired."""
    rewarded_over: Interval | None = None
    """Of baselines: accuracy as rewarded minus this way's, paired, over pairs with both; bootstrap over prompts."""
    n_pairs: int
    """Pairs with a score on both sides."""
    tied: float | None
    """Share of these whose sides score the same."""


class SliceAccuracy(Record):
    column: str
    value: str
    accuracy: Interval
    n_pairs: int


class MarginBin(Record):
    """Pairs whose sides differ by so much in the share of satisfied rules."""

    low: float
    high: float
    accuracy: Interval
    """Share whose preferred side is the higher one; Wilson's interval at the effective size."""
    n_pairs: int


class ConfidenceBin(Record):
    """Pairs on which the one call about both sides is about as sure."""

    low: float
    high: float
    confidence: float
    """Mean of max(p, 1 - p)."""
    accuracy: Interval
    """Share on which the likelier side is the preferred one; Wilson's interval at the effective size."""
    n_pairs: int


class WeightingResult(Record):
    """A way to weigh the kept rules: chosen by its figure on dev, reported by that on test."""

    method: str
    dev_accuracy: float
    """Out of fold, over folds of whole prompts."""
    test: Interval
    """Accuracy on prompts that neither selection nor weights have seen; refitted on all of dev."""
    over_uniform: Interval
    """Test accuracy minus that of all rules with equal weights, paired."""
    weights: dict[str, float]
    """Rule id -> weight, of the rules that it keeps; the mean is 1."""
    rule_weight: float | None = None
    """What to multiply the fraction with beside the reward model's score; of hinge only."""


class Weightings(Record):
    """Selection and weights from dev alone."""

    n_dev_pairs: int
    n_test_pairs: int
    n_dev_prompts: int
    n_test_prompts: int
    n_unscored: int = 0
    """Pairs in neither, because the verifier failed on too many of their rules."""
    kept: tuple[str, ...]
    """Rules that dev keeps."""
    uniform_test: Interval
    """Accuracy of all rules with equal weights on the test prompts; of those that were turned around, turned."""
    before_test: Interval | None = None
    """The same as the rules were before some were turned around; None where none was."""
    written_test: Interval | None = None
    """Of the weights as a selection wrote them, pinned rules among them; None where nothing was written."""
    baselines_test: dict[str, Interval]
    """What knows nothing of rules, on the test prompts."""
    results: tuple[WeightingResult, ...]
    chosen: str
    """The method with the best figure on dev; of equal ones the simplest."""


class CurvePoint(Record):
    n: int
    """Rules, or pairs."""
    accuracy: Interval
    """On the test prompts; bootstrap over them."""


class Curves(Record):
    """What more rules and more labels bring."""

    by_rules: tuple[CurvePoint, ...]
    """The n rules that agree most surely on dev, with equal weights."""
    by_pairs: tuple[CurvePoint, ...]
    """Log-odds weights of all rules from n pairs of dev; the mean over several draws of these pairs."""


class Evaluation(Record):
    n_pairs: int
    n_prompts: int
    rules: tuple[RuleStatistics, ...]
    accuracies: tuple[Accuracy, ...]
    slices: tuple[SliceAccuracy, ...] = ()
    margins: tuple[MarginBin, ...] = ()
    one_call_bins: tuple[ConfidenceBin, ...] = ()
    """Is the one call about both sides as often right as it is sure? Empty where it was not asked."""
    phi_verdicts: Matrix = ()
    """Correlation of the verdicts of each two rules, in the order of `rules`; None where it is unknown, because one of
    them never varies, or they share few verdicts."""
    phi_differences: Matrix = ()
    """Of their differences, chosen minus rejected."""
    weightings: Weightings | None = None
    """None where dev or test would have too few prompts; `no_weightings` says so. Dev may keep no rule."""
    no_weightings: str | None = None
    curves: Curves | None = None
    position_bias: float | None = None
    """Of the one call about both sides: mean probability, over both orders, of the response shown first."""
    false_discovery_rate: float
    bootstrap_rounds: int
    seed: int
    leaked_pairs: int = 0
    """Pairs whose prompt the rules were mined from, or chosen by; counted only where that was allowed."""
    unscored_pairs: int = 0
    """Pairs with a side that has no reward, because the verifier failed."""
