"""Was the reward had without being earned? Signs of it in the log of a training run."""

import math
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from autorule.audit.training_log import TrainingLog, read_log
from autorule.audit.training_records import (
    Collapse,
    Divergence,
    Finding,
    LengthDrift,
    RuleSaturation,
    Saturation,
    StepMeans,
    TrainingAudit,
)
from autorule.audit.trends import EQUAL, LEAST_WINDOW, first_crossing, onset, spearman, theil_sen
from autorule.code_checks import MOST
from autorule.config.stages import Config
from autorule.config.values import Count
from autorule.errors import InputError, MissingExtraError
from autorule.statistics.matrix import Floats
from autorule.statistics.records import Interval

if TYPE_CHECKING:
    import pandas as pd

LEAST_STEPS = 5
"""Of a slope: fewer say nothing about a trend."""


class TrainingAuditConfig(Config):
    """Settings of the audit of a training log."""

    columns: dict[str, str] = {}
    threshold: float = Field(0.95, gt=0, le=1, description="mean rule fraction from which rules are saturated")
    hold: Count = Field(10, ge=1, description="logged steps that a saturation or collapse must last, or to the end")
    window: Count | None = Field(
        None, ge=LEAST_WINDOW, description="logged steps over which reward and gold must part; a third of the log"
    )
    collapse_share: float = Field(0.5, ge=0, lt=1, description="share of groups without a gradient that is too many")
    least_drift: float = Field(0.1, ge=0, le=MOST, description="change of length over the log, as a share, that counts")


def audit_training(path: Path, config: TrainingAuditConfig) -> TrainingAudit:
    """All signs in a log. What the log lacks the columns for is in `not_measured`, never a finding.

    Raises InputError and ConfigError as read_log does, MissingExtraError without pandas or scipy.
    """
    if find_spec("scipy") is None:
        raise MissingExtraError("scipy", "data", "the audit of a training log")
    log = read_log(path, config.columns)
    if log.rows["reward"].isna().all():
        raise InputError(
            f"{path}: the column {config.columns.get('reward', 'reward')!r} is null in all {len(log.rows)} rows, so "
            "that no completion has a reward; say which column has them with --columns reward=NAME"
        )
    return audit_log(log, config)


def audit_log(log: TrainingLog, config: TrainingAuditConfig) -> TrainingAudit:
    """All signs in a log that was read."""
    rows = log.rows
    means = _step_means(rows)
    not_measured: dict[Finding, str] = {}
    saturation = _saturation(means, config)
    if saturation is None:
        not_measured["saturation"] = "no rule:ID columns, verdicts or fraction with a value"
    divergence = _divergence(rows, config)
    if isinstance(divergence, str):
        not_measured["divergence"] = divergence
    collapse = _collapse(rows, means, config)
    if collapse is None:
        not_measured["collapse"] = "no two rewards of one prompt_id or prompt in one step"
    length = _length(log, means, config)
    if isinstance(length, str):
        not_measured["length"] = length
    kept_divergence = divergence if isinstance(divergence, Divergence) else None
    kept_length = length if isinstance(length, LengthDrift) else None
    occurred: dict[Finding, bool] = {
        "saturation": saturation is not None and saturation.onset is not None,
        "divergence": kept_divergence is not None and kept_divergence.from_step is not None,
        "collapse": collapse is not None and collapse.onset is not None,
        "length": kept_length is not None and kept_length.drifts,
    }
    return TrainingAudit(
        source=log.source,
        n_rows=len(rows),
        n_unscored=int(rows["reward"].isna().sum()),
        n_steps=len(means),
        first_step=int(rows["step"].min()),
        last_step=int(rows["step"].max()),
        threshold=config.threshold,
        hold=config.hold,
        collapse_share=config.collapse_share,
        least_drift=config.least_drift,
        saturation=saturation,
        rules=tuple(_rules(log, config)),
        divergence=kept_divergence,
        collapse=collapse,
        length=kept_length,
        not_measured=not_measured,
        findings=tuple(name for name, found in occurred.items() if found),
        steps=tuple(_as_record(step, values) for step, values in means.iterrows()),
    )


def _step_means(rows: "pd.DataFrame") -> "pd.DataFrame":
    """Index step, in order; columns n, unscored, reward, gold, fraction, length, collapsed."""
    by_step = rows.groupby("step")
    means = by_step[["reward", "gold", "fraction", "length"]].mean()
    means["n"] = by_step.size()
    means["unscored"] = rows["reward"].isna().groupby(rows["step"]).sum()
    same = _groups(rows)
    means["collapsed"] = same.groupby("step")["same"].mean() if len(same) else math.nan
    return means


def _groups(rows: "pd.DataFrame") -> "pd.DataFrame":
    """A row for each group with at least two rewards: its step, and whether they are all the same."""
    scored = rows[(rows["group"] >= 0) & rows["reward"].notna()]
    found = scored.groupby("group").agg(
        step=("step", "first"), least=("reward", "min"), most=("reward", "max"), n=("reward", "size")
    )
    found = found[found["n"] > 1]
    return found.assign(same=(found["most"] - found["least"] <= EQUAL).astype(float))


def _as_record(step: Any, values: Any) -> StepMeans:
    return StepMeans(
        step=int(step),
        n_completions=int(values["n"]),
        n_unscored=int(values["unscored"]),
        reward=_known(values["reward"]),
        gold_reward=_known(values["gold"]),
        fraction=_known(values["fraction"]),
        length=_known(values["length"]),
        collapsed=_known(values["collapsed"]),
    )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _series(means: "pd.DataFrame", name: str) -> tuple[Floats, Floats]:
    return means.index.to_numpy(dtype=np.float64), means[name].to_numpy(dtype=np.float64)


def _saturation(means: "pd.DataFrame", config: TrainingAuditConfig) -> Saturation | None:
    steps, fractions = _series(means, "fraction")
    known = fractions[~np.isnan(fractions)]
    if not len(known):
        return None
    return Saturation(onset=onset(steps, fractions, config.threshold, config.hold), last=float(known[-1]))


def _rules(log: TrainingLog, config: TrainingAuditConfig) -> list[RuleSaturation]:
    """Rules with at least one verdict, by the step from which they are saturated, then by how near they are."""
    found = []
    shares = log.rules.groupby(log.rows["step"]).mean() if len(log.rules.columns) else log.rules
    for rule_id in shares.columns:
        steps, own = _series(shares, rule_id)
        known = own[~np.isnan(own)]
        if len(known):
            n_counted = int(log.rules[rule_id].notna().sum())
            at = onset(steps, own, config.threshold, config.hold)
            found.append(RuleSaturation(rule_id=rule_id, onset=at, last=float(known[-1]), n_counted=n_counted))
    return sorted(found, key=lambda rule: (math.inf if rule.onset is None else rule.onset, -rule.last, rule.rule_id))


def _divergence(rows: "pd.DataFrame", config: TrainingAuditConfig) -> Divergence | str:
    """Over completions that have both rewards; why it can't be measured where too few steps have any."""
    both = rows[rows["reward"].notna() & rows["gold"].notna()]
    if not len(both):
        return "no gold_reward beside a reward: map a second verifier's or reward model's with --columns"
    means = both.groupby("step")[["reward", "gold"]].mean()
    steps, rewards = _series(means, "reward")
    window = config.window or max(LEAST_WINDOW, len(steps) // 3)
    if len(steps) < window:
        return f"{len(steps)} steps with a gold_reward, and trends are looked for over {window}"
    found = first_crossing(steps, rewards, _series(means, "gold")[1], window)
    return Divergence(
        from_step=found.first if found.found else None,
        seen_at=found.last if found.found else None,
        window=window,
        n_windows=found.n_windows,
        p_value=found.p_value,
        reward_slope=found.rising_slope,
        gold_slope=found.falling_slope,
    )


def _collapse(rows: "pd.DataFrame", means: "pd.DataFrame", config: TrainingAuditConfig) -> Collapse | None:
    groups = _groups(rows)
    if not len(groups):
        return None
    steps, shares = _series(means, "collapsed")
    above = np.where(np.isnan(shares), np.nan, shares > config.collapse_share + EQUAL)
    first = steps[above == 1]
    return Collapse(
        onset=onset(steps, above, 1.0, config.hold),
        first_above=int(first[0]) if len(first) else None,
        share=float(groups["same"].mean()),
        n_groups=len(groups),
    )


def _length(log: TrainingLog, means: "pd.DataFrame", config: TrainingAuditConfig) -> LengthDrift | str:
    steps, lengths = _series(means, "length")
    known = ~np.isnan(lengths)
    if known.sum() < LEAST_STEPS:
        return f"{known.sum()} steps with a completion_length or completion; a slope needs {LEAST_STEPS}"
    steps, lengths = steps[known], lengths[known]
    found = theil_sen(steps, lengths)
    before = float(np.median(lengths[: max(LEAST_STEPS, len(lengths) // 10)]))
    change = found.slope * (steps[-1] - steps[0]) / before if before > 0 else None
    beyond_chance = found.low > 0 or found.high < 0
    scored = log.rows[log.rows["reward"].notna() & log.rows["length"].notna()]
    ranks = scored.groupby("step")[["reward", "length"]].rank()
    ranks -= ranks.groupby(scored["step"]).transform("mean")
    return LengthDrift(
        drifts=beyond_chance and (change is None or abs(change) >= config.least_drift),
        unit=log.length_unit,
        slope=Interval(value=found.slope, low=found.low, high=found.high),
        change=change,
        correlation=spearman(scored["reward"].to_numpy(), scored["length"].to_numpy()),
        correlation_within_steps=_pearson(ranks["reward"].to_numpy(), ranks["length"].to_numpy()),
    )


def _pearson(one: Floats, other: Floats) -> float | None:
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(np.corrcoef(one, other)[0, 1])
