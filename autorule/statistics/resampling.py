"""Bootstrap over prompts: pairs of one prompt are drawn together or not at all (Field and Welsh 2007).

Percentiles are too near to each other where prompts are few: they are taken further out by the ratio of Student's
quantile to the normal one (Hesterberg 2015, section 4.3), with degrees of freedom by Kish's number of prompts.
"""

import numpy as np

from autorule.statistics.agreement import CONFIDENCE, by_prompt, kish, wilson
from autorule.statistics.matrix import Floats, Ints
from autorule.statistics.records import Interval

ROUNDS = 2000
LEAST_PROMPTS = 10
ROUNDING = 1e-9
BLOCK = 250
"""Rounds at once: weights of rounds by prompts are the only large array."""


def bootstrap_means(
    values: Floats,
    prompts: Ints,
    seed: int = 0,
    rounds: int = ROUNDS,
    confidence: float = CONFIDENCE,
    n_shares: int = 0,
) -> list[Interval]:
    """The mean of each column of `values` (pairs × columns) with a percentile interval; None where nothing is known.

    `confidence`: of the two-sided interval. Near 1 it needs many rounds: several dozen draws beyond each end.
    `n_shares`: the first so many columns are shares, and lie between 0 and 1.

    No interval where prompts count as fewer than LEAST_PROMPTS: draws of so few tell little. Where all values are 1, or
    all of a share are 0, so that no draw differs, it is Wilson's, of as many trials as there are prompts.

    NaN counts for nothing. Columns share their draws, so that the difference of two is that of one more column.
    """
    known = ~np.isnan(values)
    sums, sizes = by_prompt(np.nan_to_num(values), prompts), by_prompt(known, prompts)
    draws = np.concatenate(
        [
            _weighted_means(sums, sizes, rng, min(BLOCK, rounds - start))
            for rng in [np.random.default_rng(seed)]
            for start in range(0, rounds, BLOCK)
        ]
    )
    with np.errstate(invalid="ignore"):
        means = sums.sum(axis=0) / sizes.sum(axis=0)
    low, high = np.full((2, values.shape[1]), np.nan)
    n_prompts = kish(sizes)
    told = n_prompts >= LEAST_PROMPTS - ROUNDING
    for i in np.flatnonzero(told):
        tail = expanded_tail(n_prompts[i], confidence)
        low[i], high[i] = np.nanquantile(draws[:, i], [tail, 1 - tail])
    nothing = (np.nan_to_num(values) == 0).all(axis=0) & (np.arange(values.shape[1]) < n_shares)
    whole = told & ((np.nan_to_num(values, nan=1.0) == 1).all(axis=0) | nothing)
    if whole.any():
        low[whole], high[whole] = wilson(means[whole], n_prompts[whole], confidence)
    return [
        Interval(value=_number(m), low=_number(a), high=_number(b)) for m, a, b in zip(means, low, high, strict=True)
    ]


def expanded_tail(n_prompts: float, confidence: float) -> float:
    """What to leave out at either end of the draws of so many prompts."""
    from scipy import special

    quantile = special.stdtrit(n_prompts - 1, 0.5 + confidence / 2) * np.sqrt(n_prompts / (n_prompts - 1))
    return float(special.ndtr(-quantile))


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _weighted_means(sums: Floats, sizes: Floats, rng: np.random.Generator, rounds: int) -> Floats:
    n = len(sums)
    weights = rng.multinomial(n, np.full(n, 1 / n), size=rounds).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((weights @ sums) / (weights @ sizes))
