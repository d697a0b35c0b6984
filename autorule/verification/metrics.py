"""How good verdicts are against labels: accuracy, ranking, calibration, thresholds. Pure functions on arrays."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from autorule.records import Record, Verdict

N_BINS = 10
Array = np.ndarray[Any, np.dtype[Any]]


class Bin(Record):
    """One bar of the reliability picture: P(yes) from `low` to `high`."""

    low: float
    high: float
    n: int
    mean_p_yes: float
    share_satisfied: float


class Quality(Record):
    """Of one engine and mode on one set of labels. A figure that can't be computed is None."""

    n: int
    """Labels."""
    n_unscored: int
    n_not_applicable: int
    share_satisfied: float
    """Of the labels: what always answering the commoner side would be right about is the greater of it and the rest."""
    share_yes: float | None
    accuracy: float | None
    balanced_accuracy: float | None
    auc: float | None
    ece: float | None
    """Expected calibration error over ten bins of equal width (Naeini et al. 2015), weighted by their size."""
    reliability: tuple[Bin, ...] = ()
    threshold: float | None = None
    """P(yes) that gives the best balanced accuracy on these labels."""
    balanced_accuracy_at_threshold: float | None = None


def measure_quality(verdicts: Sequence[Verdict], satisfied: Sequence[bool]) -> Quality:
    """The quality of verdicts on rules with known answers, in the same order. N/A and unscored are no answers."""
    truth = np.array(satisfied, dtype=bool)
    answered = np.array([v.verdict in ("yes", "no") for v in verdicts], dtype=bool)
    yes = np.array([v.verdict == "yes" for v in verdicts], dtype=bool)
    p = np.array([np.nan if v.p_yes is None else v.p_yes for v in verdicts])
    ranked = ~np.isnan(p)
    threshold, best = best_threshold(truth[ranked], p[ranked])
    return Quality(
        n=len(truth),
        n_unscored=sum(v.verdict is None for v in verdicts),
        n_not_applicable=sum(v.verdict == "not_applicable" for v in verdicts),
        share_satisfied=float(truth.mean()),
        share_yes=float(yes[answered].mean()) if answered.any() else None,
        accuracy=float((yes == truth)[answered].mean()) if answered.any() else None,
        balanced_accuracy=balanced_accuracy(truth[answered], yes[answered]),
        auc=_auc(truth[ranked], p[ranked]),
        ece=_ece(truth[ranked], p[ranked]),
        reliability=reliability(truth[ranked], p[ranked]),
        threshold=threshold,
        balanced_accuracy_at_threshold=best,
    )


def best_threshold(truth: Array, p: Array) -> tuple[float | None, float | None]:
    """The P(yes) from which "yes" gives the best balanced accuracy, and that accuracy; of equal ones the nearest to a
    half. (None, None) when only one answer occurs."""
    if len(set(truth.tolist())) < 2:
        return None, None
    from sklearn.metrics import roc_curve

    false_rate, true_rate, thresholds = roc_curve(truth, p, drop_intermediate=False)
    balanced = (true_rate + 1 - false_rate) / 2
    candidates = np.flatnonzero(np.isclose(balanced, balanced.max()) & np.isfinite(thresholds))
    if not len(candidates):
        return None, None
    chosen = candidates[np.argmin(np.abs(thresholds[candidates] - 0.5))]
    return float(np.clip(thresholds[chosen], 0, 1)), float(balanced[chosen])


def reliability(truth: Array, p: Array) -> tuple[Bin, ...]:
    """The bins that hold something."""
    bins = []
    index = np.minimum((p * N_BINS).astype(int), N_BINS - 1)
    for number in range(N_BINS):
        inside = index == number
        if inside.any():
            bins.append(
                Bin(
                    low=number / N_BINS,
                    high=(number + 1) / N_BINS,
                    n=int(inside.sum()),
                    mean_p_yes=float(p[inside].mean()),
                    share_satisfied=float(truth[inside].mean()),
                )
            )
    return tuple(bins)


def flip_rate(one: Sequence[Verdict], other: Sequence[Verdict]) -> float | None:
    """The share of items with two different verdicts among those that have one in both; None when none has."""
    both = [(a.verdict, b.verdict) for a, b in zip(one, other, strict=True) if a.verdict and b.verdict]
    return sum(a != b for a, b in both) / len(both) if both else None


def balanced_accuracy(truth: Array, yes: Array) -> float | None:
    """Mean of the shares of satisfied and of unsatisfied labels that are told right; None when one kind is absent."""
    if len(set(truth.tolist())) < 2:
        return None
    return float((yes[truth].mean() + (~yes[~truth]).mean()) / 2)


def _auc(truth: Array, p: Array) -> float | None:
    if len(set(truth.tolist())) < 2:
        return None
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth, p))


def _ece(truth: Array, p: Array) -> float | None:
    bins = reliability(truth, p)
    n = sum(b.n for b in bins)
    return sum(b.n * abs(b.mean_p_yes - b.share_satisfied) for b in bins) / n if n else None
