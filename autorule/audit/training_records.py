"""What the audit of a training log finds, as records."""

from typing import Literal

from autorule.records import Record
from autorule.statistics.records import Interval

Finding = Literal["saturation", "divergence", "collapse", "length"]


class StepMeans(Record):
    """Means over the completions of one step; None where there is nothing to average."""

    step: int
    n_completions: int
    n_unscored: int
    reward: float | None
    gold_reward: float | None
    fraction: float | None
    length: float | None
    collapsed: float | None
    """Share of groups whose rewards are all the same."""


class Saturation(Record):
    """The mean rule fraction near its end: nothing is left to learn from the rules."""

    onset: int | None
    """First step from which the mean stays at the threshold; None when it never does."""
    last: float
    """Mean of the last step."""


class RuleSaturation(Record):
    rule_id: str
    onset: int | None
    last: float
    """Share of completions that satisfy it in the last step with a verdict on it."""
    n_counted: int
    """Verdicts of yes and no over the whole log."""


class Divergence(Record):
    """The reward rises and the gold reward falls, both beyond chance, over a window of steps."""

    from_step: int | None
    """First step of the first such window; None when there is none."""
    seen_at: int | None
    """Its last step: when somebody who watched would have known."""
    window: int
    """Logged steps in a window."""
    n_windows: int
    p_value: float
    """Of the first such window, else the least of all: the greater of the two one-sided p-values of Kendall's tau,
    times the number of windows."""
    reward_slope: float
    gold_slope: float
    """Theil-Sen slopes for each step over that window."""


class Collapse(Record):
    """Groups (completions of one prompt in one step) whose rewards are all the same give GRPO no gradient."""

    onset: int | None
    """First step from which the share stays above the threshold."""
    first_above: int | None
    """First step where it is above the threshold at all."""
    share: float
    """Of all groups."""
    n_groups: int
    """Groups with at least two rewards."""


class LengthDrift(Record):
    drifts: bool
    """The slope's interval leaves out 0, and the change over the log is not small."""
    unit: str
    slope: Interval
    """Theil-Sen, for each step, with Sen's 95 % interval."""
    change: float | None
    """Slope times the steps of the log, as a share of the median length at its beginning."""
    correlation: float | None
    """Spearman's, of reward and length over all completions."""
    correlation_within_steps: float | None
    """The same of ranks within each step: what is left when both only change with time."""


class TrainingAudit(Record):
    source: str
    n_rows: int
    n_unscored: int
    n_steps: int
    first_step: int
    last_step: int
    threshold: float
    hold: int
    collapse_share: float
    least_drift: float
    saturation: Saturation | None
    rules: tuple[RuleSaturation, ...]
    divergence: Divergence | None
    collapse: Collapse | None
    length: LengthDrift | None
    not_measured: dict[Finding, str]
    """What could not be looked for, and what the log lacks."""
    findings: tuple[Finding, ...]
    steps: tuple[StepMeans, ...]
