"""Statistics over steps: against scipy, against series whose truth is known, and their rate of false alarms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from autorule.audit.trends import ALPHA, first_crossing, onset, spearman, theil_sen


def series(n, seed, drift=0.0, noise=0.03, turn=0):
    """Noise around a level that moves by `drift` a step, from step `turn` on."""
    steps = np.arange(n, dtype=float)
    return 0.5 + drift * np.maximum(0, steps - turn) + np.random.default_rng(seed).normal(0, noise, n)


@pytest.mark.parametrize(
    ("values", "hold", "expected"),
    [
        ([0, 0, 1, 1, 1, 1], 3, 2),
        ([0, 0, 1, 1, 1, 1], 10, 2),  # to the end
        ([0, 0, 0, 0, 1, 1], 10, None),  # too near to the end to say
        ([0, 0, 0, 0, 1, 1], 1, 4),
        ([0, 1, 1, 1, 0, 0], 3, 1),
        ([0, 1, 1, 1, 0, 0], 4, None),
        ([1, 1, 1, 0, 1, 1, 1, 1], 4, 4),
        ([1, np.nan, 1, 1, 0, 0], 3, 0),  # a step without a value is no step
        ([1, 1], 1, 0),
        ([0, 0], 1, None),
        ([], 1, None),
    ],
)
def test_onset(values, hold, expected):
    found = onset(np.arange(len(values), dtype=float), np.array(values, dtype=float), 0.95, hold)
    assert found == expected


@given(values=st.lists(st.floats(0, 1), max_size=40), hold=st.integers(1, 12), threshold=st.floats(0.01, 1))
def test_an_onset_is_held_and_the_first(values, hold, threshold):
    at = onset(np.arange(len(values), dtype=float), np.array(values), threshold, hold)
    held = [value >= threshold - 1e-9 for value in values]
    starts = [
        i for i in range(len(values))
        if all(held[i : i + hold]) and (i + hold <= len(values) or len(values) - i >= min(3, hold))
    ]  # fmt: skip
    assert at == (starts[0] if starts else None)


def test_a_higher_threshold_is_not_reached_sooner():
    values = np.sort(np.random.default_rng(0).random(50))
    found = [onset(np.arange(50.0), values, threshold, 5) for threshold in (0.2, 0.5, 0.8)]
    assert found == sorted(found) and None not in found


@pytest.mark.parametrize("n", [30, 90, 300])
def test_divergence_is_found_where_it_begins(n):
    steps, turn, window = np.arange(n, dtype=float), n // 2, n // 3
    gold = series(n, 1, drift=-0.6 / n, turn=turn, noise=0.01)
    found = first_crossing(steps, series(n, 2, drift=0.5 / n, noise=0.01), gold, window)
    assert found.found and found.p_value <= ALPHA
    assert turn - window <= found.first <= turn + window < n + turn
    assert turn < found.last
    assert found.rising_slope > 0 > found.falling_slope


@pytest.mark.parametrize(("up", "down"), [(0.0, 0.0), (0.004, 0.0), (0.0, -0.004), (0.004, 0.004), (-0.004, -0.004)])
def test_no_divergence_is_seen_where_there_is_none(up, down):
    """Over 100 runs: false alarms stay below what the level allows (5 of 100; 11 has a chance of 1 %)."""
    steps = np.arange(90, dtype=float)
    runs = [first_crossing(steps, series(90, i, up), series(90, 1000 + i, down), 30) for i in range(100)]
    assert sum(run.found for run in runs) <= 10
    assert all(not run.found or run.p_value <= ALPHA for run in runs)


def test_series_without_any_variation_do_not_diverge():
    steps = np.arange(30, dtype=float)
    found = first_crossing(steps, np.ones(30), -steps, 10)
    assert not found.found and found.p_value == 1.0
    assert first_crossing(steps, steps, -steps, 10).first == 0


def test_one_window_is_scipys_test():
    steps, up, down = np.arange(12, dtype=float), series(12, 3, 0.02), series(12, 4, -0.01)
    found = first_crossing(steps, up, down, 12)
    p_values = (
        stats.kendalltau(steps, up, alternative="greater").pvalue,
        stats.kendalltau(steps, down, alternative="less").pvalue,
    )
    assert (found.n_windows, found.p_value) == (1, pytest.approx(max(p_values)))
    assert found.rising_slope == pytest.approx(stats.theilslopes(up, steps).slope)
    assert found.falling_slope == pytest.approx(stats.theilslopes(down, steps).slope)


def test_the_blocks_of_a_long_window_are_means():
    steps, up, down = np.arange(240, dtype=float), series(240, 5, 0.01), series(240, 6, -0.01)
    found = first_crossing(steps, up, down, 240)
    blocks = [values.reshape(12, 20).mean(axis=1) for values in (steps, up, down)]
    assert found.n_windows == 1 and (found.first, found.last) == (0, 239)
    assert found.p_value == pytest.approx(stats.kendalltau(blocks[0], blocks[2], alternative="less").pvalue)
    assert found.rising_slope == pytest.approx(stats.theilslopes(blocks[1], blocks[0]).slope)


def test_theil_sen_is_scipys_and_leaves_unknown_steps_out():
    steps, values = np.arange(80, dtype=float), series(80, 7, 0.01)
    reference = stats.theilslopes(values, steps, alpha=0.95)
    expected = (reference.slope, reference.low_slope, reference.high_slope)
    assert theil_sen(steps, values) == pytest.approx(expected)
    gaps = np.insert(values, 40, np.nan)
    assert theil_sen(np.insert(steps, 40, 1000.0), gaps) == pytest.approx(expected)
    long = theil_sen(np.arange(5000, dtype=float), series(5000, 8, 0.01))
    assert long.low < 0.01 < long.high and long.high - long.low < 1e-4


def test_spearman_is_scipys_over_what_is_known():
    rng = np.random.default_rng(0)
    one = rng.normal(size=60)
    other = one + rng.normal(size=60)
    assert spearman(one, other) == pytest.approx(stats.spearmanr(one, other).statistic)
    holes = other.copy()
    holes[::3] = np.nan
    known = ~np.isnan(holes)
    assert spearman(one, holes) == pytest.approx(stats.spearmanr(one[known], other[known]).statistic)
    assert spearman(one, np.ones(60)) is None and spearman(one[:2], other[:2]) is None
