"""Does a rule agree with people? Per rule, over the pairs whose sides it tells apart.

Agreement is the share of discordant pairs (one side satisfies the rule, the other does not) whose preferred side
satisfies it. Pairs of one prompt are not independent: the intervals (Wilson's) and the exact binomial tests go by the
effective sample size p(1 - p) / var(p), with the variance of a ratio over prompts (Cochran, Sampling Techniques, ch. 6
and 9), which is itself uncertain when prompts are few or one has most of the pairs: it is lowered by the ratio of the
normal to Student's quantile (Korn and Graubard 1998), with degrees of freedom by Kish's number of prompts. Where these
are fewer than FEW_PROMPTS, no p-value is below that of a test that turns the answers of whole prompts around at random,
which needs no variance. Decisions over many rules control the false discovery rate (Benjamini and Hochberg 1995).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from autorule.statistics.matrix import Bools, Floats, Ints, PairMatrix

CONFIDENCE = 0.95
FALSE_DISCOVERY_RATE = 0.05
FEW_PROMPTS = 50
FLIPS = 20_000
MOST_EXACT = 14
"""Prompts whose 2 ** n turnings are all looked at; of more, FLIPS are drawn."""


class Agreement(NamedTuple):
    """Arrays with one entry for each rule; NaN where no pair is discordant."""

    n_discordant: Ints
    agreement: Floats
    low: Floats
    high: Floats
    n_effective: Floats
    """What the interval and the p-value go by: as many independent pairs would tell as much."""
    p_value: Floats
    """Two-sided, against a rule that tells nothing (1/2); 1 where no pair is discordant."""
    adjusted_p: Floats
    """By Benjamini and Hochberg over all rules: the least false discovery rate at which the rule is a discovery."""
    significant: Bools
    """At the false discovery rate over all rules."""


def measure_agreement(matrix: PairMatrix, rate: float = FALSE_DISCOVERY_RATE) -> Agreement:
    """The agreement of each rule. Needs scipy."""
    from scipy import stats

    differences = matrix.differences()
    discordant = np.abs(differences) == 1  # NaN is not
    agrees = differences == 1
    n = discordant.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(n > 0, agrees.sum(axis=0) / n, np.nan)
    effective = effective_sizes(agrees, discordant, matrix.prompts)
    low, high = wilson(share, effective)
    sizes = np.rint(effective).astype(int)
    hits = np.rint(np.nan_to_num(share, nan=0.5) * sizes)
    # The binomial of 1/2 is symmetric: both tails are as likely as the smaller one twice.
    tail = stats.binom.cdf(np.minimum(hits, sizes - hits), sizes, 0.5)
    p_values = np.where(sizes > 0, np.minimum(1.0, 2 * tail), 1.0)
    p_values = np.maximum(p_values, _flipped_p(agrees, discordant, matrix.prompts))
    adjusted = stats.false_discovery_control(p_values) if len(p_values) else p_values
    return Agreement(n.astype(np.int64), share, low, high, effective, p_values, adjusted, adjusted <= rate)


def effective_sizes(agrees: Bools, discordant: Bools, prompts: Ints) -> Floats:
    """How many independent pairs would tell as much as these, for each rule; at most the number of discordant pairs.

    With one discordant pair for each prompt that is their number. Where all agree, or none, there is no variance to go
    by, and it is Kish's number of prompts.
    """
    from scipy import stats

    found = _over_prompts(agrees, discordant, prompts)
    with np.errstate(invalid="ignore", divide="ignore"):
        effective = found.share * (1 - found.share) / found.variance
        quantile = 0.5 + CONFIDENCE / 2
        effective = effective * (stats.norm.ppf(quantile) / stats.t.ppf(quantile, found.n_prompts - 1)) ** 2
    effective = np.where(np.isnan(effective), found.n_prompts, np.minimum(effective, found.n))
    return np.where(found.alone, found.n, effective).astype(np.float64)


class _OverPrompts(NamedTuple):
    """Of each rule: the share as a ratio of sums over prompts, and its variance."""

    n: Floats
    n_prompts: Floats
    """With a discordant pair, as (Σm)² / Σm² of the pairs m of each (Kish, Survey Sampling, ch. 11): their number where
    all have as many, near 1 where one has nearly all; 0 where there is none."""
    share: Floats
    variance: Floats
    alone: Bools
    """No prompt has two discordant pairs."""


def _over_prompts(agrees: Bools, discordant: Bools, prompts: Ints) -> _OverPrompts:
    hits, sizes = by_prompt(agrees, prompts), by_prompt(discordant, prompts)
    n, n_prompts = sizes.sum(axis=0), kish(sizes)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = hits.sum(axis=0) / n
        residuals = hits - share * sizes
        # A prompt draws the share towards itself, the more so the more of the pairs it has: its residual is too small
        # by that (the correction CR2 of Bell and McCaffrey 2002).
        variance = (residuals**2 / (1 - sizes / n)).sum(axis=0) / n**2
    return _OverPrompts(n, n_prompts, share, variance, sizes.max(axis=0, initial=0) <= 1)


def _flipped_p(agrees: Bools, discordant: Bools, prompts: Ints) -> Floats:
    """Of the test by random signs of whole prompts, two-sided, where these are few and have several discordant pairs;
    0 elsewhere. The same signs in every call."""
    found = _over_prompts(agrees, discordant, prompts)
    p_values = np.zeros(len(found.n))
    few = np.flatnonzero(~found.alone & (found.n_prompts < FEW_PROMPTS) & (found.n > 0))
    if not len(few):
        return p_values
    ahead = 2 * by_prompt(agrees[:, few], prompts) - by_prompt(discordant[:, few], prompts)
    ahead = ahead[(ahead != 0).any(axis=1)]
    n_reached, n_signs = np.zeros(len(few)), 0
    for signs in _signs(len(ahead)):
        n_reached += (np.abs(signs @ ahead) >= np.abs(ahead.sum(axis=0)) - 1e-9).sum(axis=0)
        n_signs += len(signs)
    exact = len(ahead) <= MOST_EXACT
    p_values[few] = n_reached / n_signs if exact else (n_reached + 1) / (n_signs + 1)
    return p_values


def _signs(n: int) -> Iterator[Floats]:
    """Rows of n signs: all that there are, or FLIPS random ones in blocks."""
    if n <= MOST_EXACT:
        bits = np.arange(2**n)[:, None] >> np.arange(n)
        yield 1.0 - 2.0 * (bits & 1)
        return
    rng = np.random.default_rng(0)
    for _ in range(FLIPS // 1000):
        yield rng.choice([-1.0, 1.0], size=(1000, n))


def kish(sizes: Floats) -> Floats:
    """How many prompts of one size would tell as much as these, of each column of sizes (prompts × columns)."""
    squares = (sizes**2).sum(axis=0)
    return np.asarray(np.where(squares > 0, sizes.sum(axis=0) ** 2 / np.maximum(squares, 1e-300), 0.0))


def by_prompt(values: Bools | Floats, prompts: Ints) -> Floats:
    """Sums over the pairs of each prompt: prompts × rules."""
    order = np.argsort(prompts, kind="stable")
    _, starts = np.unique(prompts[order], return_index=True)
    ordered = values[order].astype(np.float64)
    return np.asarray(np.add.reduceat(ordered, starts, axis=0)) if len(starts) else ordered


def wilson(share: Floats, n: Floats, confidence: float = CONFIDENCE) -> tuple[Floats, Floats]:
    """Wilson's score interval of shares of `n` (not necessarily whole) independent trials; NaN for none."""
    from scipy import stats

    z = stats.norm.ppf(0.5 + confidence / 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    none = ~(n > 0)
    return (
        # The interval holds its share; at 0 and 1 an end is the share itself, but for a last bit of rounding.
        np.where(none, np.nan, np.clip(centre - half, 0, share)),
        np.where(none, np.nan, np.clip(centre + half, share, 1)),
    )
