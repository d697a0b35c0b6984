"""Accuracies of the set, its slices, margins and weights, against plain loops, and what their intervals go by."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from autorule.backends.token_estimate import estimate_tokens
from autorule.config.stages import RewardConfig
from autorule.evaluation.evaluate import evaluate
from autorule.statistics.accuracies import accuracies, margin_bins, slice_accuracies
from autorule.statistics.agreement import CONFIDENCE, kish, measure_agreement, wilson
from autorule.statistics.baselines import baseline_scores
from autorule.statistics.choosing import choose_weights
from autorule.statistics.matrix import NOT_APPLICABLE, UNSCORED
from autorule.statistics.resampling import bootstrap_means, expanded_tail
from autorule.statistics.splits import on_test
from tests.simulated_verdicts import simulate
from tests.unit.statistics.test_rule_statistics import rules_of

AGREEMENTS = (0.75, 0.65, 0.5, 0.4)


@pytest.fixture(scope="module")
def matrix():
    rng = np.random.default_rng(3)
    made = simulate(rng, AGREEMENTS, n_prompts=200, per_prompt=np.arange(200) % 5 + 1, spread=0.1)
    made.chosen[rng.random(made.chosen.shape) < 0.1] = NOT_APPLICABLE
    n = made.n_pairs
    return dataclasses.replace(
        made,
        chosen_p=np.where(made.chosen >= 0, rng.random(made.chosen.shape), np.nan),
        rejected_p=np.where(made.rejected >= 0, rng.random(made.chosen.shape), np.nan),
        chosen_length=rng.integers(50, 200, n).astype(float),
        rejected_length=rng.integers(50, 200, n).astype(float),
    )


def soft_right(matrix, weights):
    right = []
    for i in range(matrix.n_pairs):
        scores = []
        for labels, p_yes in ((matrix.chosen[i], matrix.chosen_p[i]), (matrix.rejected[i], matrix.rejected_p[i])):
            counted = [(w, p) for w, label, p in zip(weights, labels, p_yes, strict=True) if label in (0, 1)]
            scores.append(sum(w * p for w, p in counted) / sum(w for w, _ in counted) if counted else np.nan)
        right.append(np.nan if np.isnan(scores).any() else float(scores[0] > scores[1]))
    return np.array(right)


def test_soft_accuracies_weigh_the_probabilities(matrix):
    weights = [2.0, 1.0, 1.0, 0.5]
    found = {one.name: one for one in accuracies(matrix, rules_of(matrix, weights), RewardConfig(), 200, 0)}
    for name, own in (("uniform, soft", [1.0] * 4), ("weighted, soft", weights)):
        right = soft_right(matrix, own)
        assert found[name].accuracy.value == pytest.approx(np.nanmean(right))
        plain = np.array([hard_right(matrix, i) for i in range(matrix.n_pairs)])
        assert found[name].over_uniform.value == pytest.approx(np.nanmean(right - plain))


def hard_right(matrix, i):
    means = []
    for labels in (matrix.chosen[i], matrix.rejected[i]):
        counted = [label for label in labels.tolist() if label in (0, 1)]
        means.append(sum(counted) / len(counted) if counted else np.nan)
    return np.nan if np.isnan(means).any() else (np.sign(means[0] - means[1]) + 1) / 2


def alike(matrix):
    pairs = zip(matrix.chosen_length, matrix.rejected_length, strict=True)
    return np.array([abs(a - b) <= 0.2 * max(a, b) for a, b in pairs])


def test_where_lengths_are_alike_only_such_pairs_count(matrix):
    found = {one.name: one for one in accuracies(matrix, rules_of(matrix), RewardConfig(), 200, 0)}
    own = [hard_right(matrix, i) for i in np.flatnonzero(alike(matrix))]
    one = found["uniform, hard, lengths alike"]
    assert (one.n_pairs, one.accuracy.value) == (np.isfinite(own).sum(), pytest.approx(np.nanmean(own)))
    expected = measure_agreement(matrix.of(alike(matrix)))
    for i, rule in enumerate(evaluate(matrix, rules_of(matrix), rounds=100).rules):
        interval = rule.length_matched_agreement
        assert (interval.low, interval.high) == (expected.low[i], expected.high[i])


def test_intervals_of_slices_and_margins_go_by_prompts(matrix):
    """Each pair five times in its prompt: nothing is added."""
    sliced = dataclasses.replace(matrix, slices={"all": ["x"] * matrix.n_pairs})
    five = sliced.of(np.repeat(np.arange(matrix.n_pairs), 5))
    for measure in (
        lambda own: slice_accuracies(own, rules_of(own), RewardConfig(), 300, 0),
        lambda own: margin_bins(own, rules_of(own)),
    ):
        for one, other in zip(measure(sliced), measure(five), strict=True):
            assert other.n_pairs == 5 * one.n_pairs
            assert (other.accuracy.low, other.accuracy.high) == pytest.approx(
                (one.accuracy.low, one.accuracy.high), abs=0.02
            )


def test_a_slice_without_a_verdict_is_left_out(matrix):
    """Its pairs may be those on which the verifier failed, or to which no rule applies."""
    labels = {side: getattr(matrix, side).copy() for side in ("chosen", "rejected")}
    labels["chosen"][:5] = NOT_APPLICABLE
    values = ["rare"] * 5 + ["usual"] * (matrix.n_pairs - 5)
    found = slice_accuracies(
        dataclasses.replace(matrix, slices={"kind": values}, **labels), rules_of(matrix), RewardConfig(), 100, 0
    )
    assert [one.value for one in found] == ["usual"]


def test_the_bootstrap_is_of_the_ratio_over_prompts_of_any_size_with_gaps():
    rng = np.random.default_rng(6)
    prompts = np.repeat(np.arange(60), rng.integers(1, 9, 60))
    values = (rng.random(len(prompts)) < np.linspace(0.2, 0.9, 60)[prompts]).astype(float)
    values[rng.random(len(prompts)) < 0.2] = np.nan
    [found] = bootstrap_means(values[:, None], prompts, rounds=6000)
    sums = np.array([np.nansum(values[prompts == i]) for i in range(60)])
    sizes = np.array([np.isfinite(values[prompts == i]).sum() for i in range(60)])
    tail = expanded_tail(float(kish(sizes[:, None].astype(float))[0]), CONFIDENCE)
    expected = stats.bootstrap(
        (sums, sizes), lambda s, n: s.sum() / n.sum(), paired=True, vectorized=False, n_resamples=6000,
        method="percentile", confidence_level=1 - 2 * tail, rng=1,
    ).confidence_interval  # fmt: skip
    assert found.value == pytest.approx(np.nanmean(values))
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=0.01)


@pytest.mark.parametrize(
    ("sizes", "difference"),
    [
        (np.full(10, 20), False), (np.full(20, 4), False), (np.full(150, 3), False),
        (np.maximum(1, np.round(200 / np.arange(1, 48))).astype(int), False), (np.full(15, 5), True),
    ],
)  # fmt: skip
def test_bootstrap_intervals_hold_what_they_promise(sizes, difference):
    """Two thousand simulations, a column each: accuracies of 0.7, and differences of two sets."""
    rng = np.random.default_rng(1)
    prompts = np.repeat(np.arange(len(sizes)), sizes)
    chance = rng.beta(0.7 * 4, 0.3 * 4, size=(len(sizes), 2000))[prompts]
    values = (rng.random(chance.shape) < chance).astype(float)
    truth = 0.7
    if difference:
        values, truth = np.where(rng.random(chance.shape) < 0.3, 2 * values - 1, 0.0), 0.3 * 0.4
    found = bootstrap_means(values, prompts, rounds=1000)
    covered = [one.low <= truth <= one.high for one in found]
    assert 0.93 <= np.mean(covered) <= 0.97


def test_what_is_always_wrong_has_an_interval_too():
    columns = np.column_stack([np.zeros(30), np.ones(30), np.zeros(30)])
    wrong, right, same = bootstrap_means(columns, np.arange(30), rounds=100, n_shares=2)
    low, high = wilson(np.array([0.0, 1.0]), np.array([30.0, 30.0]))
    assert (wrong.low, wrong.high) == pytest.approx((low[0], high[0])) and wrong.high > 0.1
    assert (right.low, right.high) == pytest.approx((low[1], high[1]))
    assert (same.low, same.high) == (0, 0), "a difference of two ways that never differ"


def test_every_weighting_is_told_beside_all_rules_alike_on_the_same_pairs(matrix):
    found = choose_weights(matrix, rounds=200)
    for one in found.results:
        assert one.over_uniform.value == pytest.approx(one.test.value - found.uniform_test.value)
    part = matrix.of(on_test(matrix.prompts))
    plain = np.nan_to_num([hard_right(part, i) for i in range(part.n_pairs)], nan=0.5)
    assert found.uniform_test.value == pytest.approx(plain.mean())
    longer = np.sign(part.chosen_length - part.rejected_length)
    assert found.baselines_test["longer response"].value == pytest.approx(((longer + 1) / 2).mean())
    assert found.baselines_test["random"].value == 0.5


def test_the_position_that_the_data_favours_is_that_of_dev(matrix):
    first = np.where(on_test(matrix.prompts), 0.0, 1.0)
    found = choose_weights(dataclasses.replace(matrix, chosen_first=first), rounds=100).baselines_test
    assert found["response that the data gives first"].value == 0
    unknown = dataclasses.replace(matrix, chosen_first=np.full(matrix.n_pairs, np.nan))
    assert set(baseline_scores(unknown)) == {"random", "longer response"}


def test_pairs_on_which_the_verifier_failed_are_in_neither_dev_nor_test_and_no_ties(matrix):
    failing = dataclasses.replace(matrix, chosen=matrix.chosen.copy())
    failed = np.random.default_rng(0).random(matrix.n_pairs) < 0.4
    failing.chosen[failed] = UNSCORED
    found, without = choose_weights(failing, rounds=100), choose_weights(matrix.of(~failed), rounds=100)
    assert found.n_unscored == failed.sum() and without.n_unscored == 0
    assert found.model_copy(update={"n_unscored": 0}) == without
    gains = [rule.gain for rule in evaluate(failing, rules_of(failing), rounds=100).rules]
    assert gains == pytest.approx(
        [rule.gain for rule in evaluate(matrix.of(~failed), rules_of(matrix), rounds=100).rules]
    )


def test_nearest_rules_and_tokens():
    matrix = simulate(np.random.default_rng(0), AGREEMENTS, n_prompts=300, duplicates=((2, 0),))
    rules = rules_of(matrix)
    found = evaluate(matrix, rules, rounds=100).rules
    assert (found[2].nearest_rule, found[0].nearest_rule) == ("r0", "r2") and found[0].nearest_phi > 0.85
    assert [one.tokens for one in found] == [estimate_tokens(rule.text) for rule in rules]


def test_what_is_unknown_is_none_and_no_zero(matrix):
    silent = dataclasses.replace(matrix, chosen=matrix.chosen.copy(), rejected=matrix.rejected.copy())
    silent.chosen[:, 1] = silent.rejected[:, 1] = UNSCORED
    found = evaluate(silent, rules_of(silent), RewardConfig(min_scored=0.5), rounds=100)
    assert found.rules[1].length_correlation is None and found.rules[1].nearest_rule is None
    assert found.rules[1].agreement.value is None
    for phi in (found.phi_verdicts, found.phi_differences):
        assert [row[1] for row in phi] == [None] * 4 and phi[1] == (None,) * 4 and phi[0][0] == 1


def test_a_pair_without_a_strength_counts_as_the_mean(matrix):
    strength = np.where(np.arange(matrix.n_pairs) % 3 == 0, np.nan, 2.0)
    given = choose_weights(dataclasses.replace(matrix, strength=strength), rounds=100)
    assert given == choose_weights(matrix, rounds=100)
