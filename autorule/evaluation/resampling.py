"""Bootstrap over prompts: pairs of one prompt are drawn together or not at all (Field and Welsh 2007)."""

import numpy as np

from autorule.evaluation.agreement import CONFIDENCE, by_prompt, wilson
from autorule.evaluation.matrix import Floats, Ints
from autorule.evaluation.records import Interval

ROUNDS = 2000
LEAST_PROMPTS = 10
BLOCK = 250
"""Rounds at once: weights of rounds by prompts are the only large array."""


def bootstrap_means(
    values: Floats, prompts: Ints, seed: int = 0, rounds: int = ROUNDS, confidence: float = CONFIDENCE
) -> list[Interval]:
    """The mean of each column of `values` (pairs × columns) with a percentile interval; None where nothing is known.

    `confidence`: of the two-sided interval. Near 1 it needs many rounds: several dozen draws beyond each end.

    No interval where fewer than LEAST_PROMPTS prompts have values: draws of so few tell little. Where all values are 1,
    so that no draw differs, it is Wilson's, of as many trials as there are prompts.

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
    tail = (1 - confidence) / 2
    low, high = np.full((2, values.shape[1]), np.nan)
    n_prompts = (sizes > 0).sum(axis=0)
    told = n_prompts >= LEAST_PROMPTS
    if told.any():
        low[told], high[told] = np.nanquantile(draws[:, told], [tail, 1 - tail], axis=0)
    whole = told & (np.nan_to_num(values, nan=1.0) == 1).all(axis=0)
    low[whole], high[whole] = wilson(means[whole], n_prompts[whole].astype(np.float64), confidence)
    return [
        Interval(value=_number(m), low=_number(a), high=_number(b)) for m, a, b in zip(means, low, high, strict=True)
    ]


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _weighted_means(sums: Floats, sizes: Floats, rng: np.random.Generator, rounds: int) -> Floats:
    n = len(sums)
    weights = rng.multinomial(n, np.full(n, 1 / n), size=rounds).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((weights @ sums) / (weights @ sizes))
