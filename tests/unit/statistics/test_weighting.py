"""Weights of rules: each method against a solver of another make, and what must hold for any data."""

import dataclasses
from functools import partial

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, optimize
from sklearn.svm import LinearSVC

from autorule.errors import ConfigError
from autorule.statistics.choosing import Method, choose_weights, make_folds, methods, out_of_fold
from autorule.statistics.matrix import NOT_APPLICABLE, UNSCORED, PairMatrix
from autorule.statistics.selection import Selected, select_rules
from autorule.statistics.splits import on_test
from autorule.statistics.weighting import (
    hinge,
    log_odds,
    logistic,
    on_model,
    pair_accuracy,
    pair_scores,
    uniform,
    whitened,
)
from tests.simulated_verdicts import simulate

GOOD = (0.75, 0.7, 0.65, 0.6, 0.5)


@pytest.fixture
def matrix():
    return simulate(np.random.default_rng(3), GOOD, n_prompts=600)


def with_scores(matrix, seed=0):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(2, matrix.n_pairs))
    return PairMatrix(
        matrix.rule_ids, matrix.chosen, matrix.rejected, matrix.prompts,
        chosen_model=scores[0] + 0.3, rejected_model=scores[1],
    )  # fmt: skip


def test_log_odds_are_smoothed_by_a_half():
    chosen = np.array([[1, 0, 1], [1, 0, 0], [1, 1, 1]], dtype=np.int8)
    rejected = np.array([[0, 1, 1], [0, 0, 0], [1, 0, UNSCORED]], dtype=np.int8)
    found = log_odds(PairMatrix(("a", "b", "c"), chosen, rejected, np.arange(3)))
    assert found == pytest.approx([np.log(2.5 / 0.5), np.log(1.5 / 1.5), 0.0])


def test_logistic_without_a_penalty_is_that_of_statsmodels(matrix):
    x = matrix.differences()
    both, labels = np.concatenate([x, -x]), np.repeat([1.0, 0.0], len(x))
    expected = sm.GLM(labels, both, family=sm.families.Binomial()).fit().params
    assert logistic(matrix, c=1e6) == pytest.approx(expected, abs=2e-3)


def test_strengths_count_as_so_many_pairs(matrix):
    strength = np.random.default_rng(0).integers(1, 4, matrix.n_pairs)
    repeated = matrix.of(np.repeat(np.arange(matrix.n_pairs), strength))
    stronger = PairMatrix(
        matrix.rule_ids, matrix.chosen, matrix.rejected, matrix.prompts, strength=strength.astype(float)
    )
    for fit in (logistic, partial(logistic, penalty="l1"), partial(logistic, nonnegative=True)):
        # Strengths have a mean of 1 there, so that their scale is not that of the penalty.
        assert fit(stronger, c=strength.mean()) == pytest.approx(fit(repeated), abs=1e-3)


@pytest.mark.parametrize("c", [0.01, 1.0])
def test_penalised_logistic_is_the_least_of_its_objective(matrix, c):
    x = matrix.differences()

    def objective(weights, penalty):
        size = np.abs(weights).sum() if penalty == "l1" else 0.5 * weights @ weights
        return size + c * np.logaddexp(0, -x @ weights).sum()

    for penalty in ("l1", "l2"):
        found = optimize.minimize(objective, np.zeros(5), args=(penalty,), method="Powell", options={"xtol": 1e-8})
        assert logistic(matrix, penalty, c) == pytest.approx(found.x, abs=5e-3)


def test_nonnegative_logistic_meets_the_conditions_of_an_optimum():
    matrix = simulate(np.random.default_rng(5), (0.7, 0.6, 0.3, 0.25), n_prompts=400)
    x, weights = matrix.differences(), logistic(matrix, c=1.0, nonnegative=True)
    slope = weights - (1 / (1 + np.exp(x @ weights))) @ x
    assert (weights[:2] > 0).all() and (weights[2:] == 0).all()
    assert slope[:2] == pytest.approx([0, 0], abs=1e-3) and (slope[2:] > 0).all()


def test_hinge_without_a_model_is_a_squared_hinge_support_vector_machine():
    matrix = simulate(np.random.default_rng(4), (0.8, 0.75, 0.7), n_prompts=500)
    silent = PairMatrix(
        matrix.rule_ids, matrix.chosen, matrix.rejected, matrix.prompts,
        chosen_model=np.zeros(500), rejected_model=np.zeros(500),
    )  # fmt: skip
    x = matrix.differences()
    machine = LinearSVC(C=0.25, loss="squared_hinge", fit_intercept=False, dual=False, tol=1e-8)
    machine.fit(np.concatenate([x, -x]), np.repeat([1, 0], len(x)))
    assert hinge(silent, c=0.5) == pytest.approx(machine.coef_[0], abs=1e-4)


def test_hinge_with_strengths_on_top_of_a_model_is_the_least_of_its_objective(matrix):
    strength = np.random.default_rng(0).integers(1, 4, matrix.n_pairs).astype(float)
    scored = dataclasses.replace(with_scores(matrix), strength=strength)
    x, ahead = scored.differences(), scored.chosen_model - scored.rejected_model

    def objective(weights):
        short = np.maximum(0, 1 - ahead - x @ np.abs(weights))
        return 0.5 * weights @ weights + 0.3 * (strength / strength.mean()) @ short**2

    found = optimize.minimize(objective, np.full(5, 0.1), method="Powell", options={"xtol": 1e-9, "ftol": 1e-12})
    assert hinge(scored, c=0.3) == pytest.approx(np.abs(found.x), abs=2e-3)
    assert hinge(scored, c=0.3) != pytest.approx(hinge(with_scores(matrix), c=0.3), abs=2e-3)


def test_hinge_gives_way_to_a_model_that_knows_all(matrix):
    scored = with_scores(matrix)
    knowing = PairMatrix(
        matrix.rule_ids, matrix.chosen, matrix.rejected, matrix.prompts,
        chosen_model=np.full(matrix.n_pairs, 5.0), rejected_model=np.zeros(matrix.n_pairs),
    )  # fmt: skip
    assert hinge(knowing) == pytest.approx(np.zeros(5), abs=1e-6)
    weights = hinge(scored)
    assert weights.max() > 0 and (weights >= 0).all()
    alone = pair_accuracy(scored.chosen_model, scored.rejected_model).mean()
    assert pair_accuracy(*on_model(scored, weights)).mean() > alone
    scored.chosen_model[:10] = np.nan
    assert np.isnan(pair_accuracy(*on_model(scored, weights))[:10]).all() and np.isfinite(hinge(scored)).all()


def test_whitened_is_the_inverse_root_of_the_covariance(matrix):
    values = np.concatenate(matrix.values())
    covariance = np.cov(values, rowvar=False)
    shrunk = 0.9 * covariance + 0.1 * np.diag(np.diag(covariance))
    assert whitened(matrix) == pytest.approx(linalg.inv(linalg.sqrtm(shrunk)) @ np.ones(5), abs=1e-8)


def test_whitened_goes_by_the_pairs_of_rows_that_two_rules_share():
    """A rule that often does not apply varies no less than another where it does."""
    matrix = simulate(np.random.default_rng(0), (0.7, 0.7, 0.7), n_prompts=4000)
    for labels in (matrix.chosen, matrix.rejected):
        labels[np.random.default_rng(1).random(labels.shape) < (0, 0.2, 0.9)] = NOT_APPLICABLE
    covariance = pd.DataFrame(np.concatenate(matrix.values())).cov().to_numpy()
    shrunk = 0.9 * covariance + 0.1 * np.diag(np.diag(covariance))
    found = whitened(matrix)
    assert found == pytest.approx(linalg.inv(linalg.sqrtm(shrunk)) @ np.ones(3), rel=0.02)
    assert found.max() < 1.2 * found.min()


def test_weights_that_would_be_negative_are_left_out_before_the_others_are_fitted():
    matrix = simulate(np.random.default_rng(5), (0.7, 0.6, 0.3), n_prompts=400)
    undecided = [Selected(rule_id, "unproven", "") for rule_id in matrix.rule_ids]
    weights = Method("m", (logistic,), all_rules=True)
    found = weights.weigh(logistic, matrix, [one._replace(decision="keep") for one in undecided])
    assert found[2] == 0 and found[:2] == pytest.approx(logistic(matrix.of(rules=[0, 1])))


def test_rules_that_say_the_same_share_a_vote():
    matrix = simulate(
        np.random.default_rng(1), (0.7, 0.5, 0.5, 0.7), n_prompts=2000, discordant=0.4, duplicates=((1, 0), (2, 0))
    )
    weights = whitened(matrix)
    assert weights[:3].sum() < 2 * weights[3] and weights[3] > 1.3 * weights[:3].max()


def test_accuracy_of_pairs_by_hand():
    chosen = np.array([[1, 1], [0, 1], [NOT_APPLICABLE, 1], [NOT_APPLICABLE, UNSCORED]], dtype=np.int8)
    rejected = np.array([[0, 1], [1, 0], [1, 0], [1, 1]], dtype=np.int8)
    matrix = PairMatrix(("a", "b"), chosen, rejected, np.arange(4))
    scores = pair_scores(matrix, np.array([3.0, 1.0]))
    assert scores[0][:3] == pytest.approx([1, 0.25, 1]) and np.isnan(scores[0][3])
    assert scores[1] == pytest.approx([0.25, 0.75, 0.75, 1.0])
    right = pair_accuracy(*scores)
    assert right[:3].tolist() == [1, 0, 1] and np.isnan(right[3])
    assert pair_accuracy(*pair_scores(matrix, np.ones(2)))[1] == 0.5


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 10**15), min_size=1, max_size=200), st.integers(0, 5))
def test_a_prompt_is_wholly_on_one_side_whatever_else_is_there(prompts, seed):
    prompts = np.array(prompts, dtype=np.int64)
    test = on_test(prompts, seed)
    side = {}
    for prompt, value in zip(prompts, test, strict=True):
        assert side.setdefault(prompt, value) == value
    assert (on_test(prompts[:1], seed) == test[:1]).all()


def test_three_of_ten_prompts_are_for_the_test():
    assert on_test(np.arange(20_000)).mean() == pytest.approx(0.3, abs=0.01)
    assert (on_test(np.arange(1000), 0) != on_test(np.arange(1000), 1)).any()


def test_no_fold_is_told_by_weights_that_saw_its_prompt():
    matrix = simulate(np.random.default_rng(0), GOOD, n_prompts=40, per_prompt=5)
    seen = []

    def fit(part):
        seen.append(set(part.prompts))
        return uniform(part)

    folds = make_folds(matrix, 0.05)
    right = out_of_fold(Method("recorded", (fit,), all_rules=True), fit, folds)
    assert len(seen) == 5 and not np.isnan(right).any()
    for fold in folds:
        decided = {one.rule_id: one.decision for one in fold.decisions}
        assert decided == {one.rule_id: one.decision for one in select_rules(fold.train)}
        assert set(fold.train.prompts).isdisjoint(fold.held_out.prompts)
        assert (matrix.prompts[fold.rows] == fold.held_out.prompts).all()
    # Each prompt is missing from what one fit saw, and from no other.
    assert all(sum(prompt not in own for own in seen) == 1 for prompt in range(40))
    with pytest.raises(ConfigError, match="3 prompts are too few"):
        make_folds(matrix.of(matrix.prompts < 3), 0.05)


def test_labels_of_noise_are_told_by_chance_out_of_fold():
    accuracies = []
    for seed in range(40):
        matrix = simulate(np.random.default_rng(seed), np.full(20, 0.5), n_prompts=100)
        [every, kept] = [Method("m", (logistic,), all_rules) for all_rules in (True, False)]
        folds = make_folds(matrix, 0.05, seed)
        accuracies.append([out_of_fold(method, logistic, folds).mean() for method in (every, kept)])
    assert np.mean(accuracies, axis=0) == pytest.approx(0.5, abs=0.02)


def test_the_chosen_weighting_is_the_best_on_dev_and_told_by_its_test():
    rng = np.random.default_rng(0)
    agreements = np.concatenate([np.linspace(0.55, 0.8, 10), np.full(20, 0.5), np.full(4, 0.3)])
    matrix = simulate(rng, agreements, n_prompts=1500)
    found = choose_weights(matrix, rounds=200)
    by_name = {result.method: result for result in found.results}
    assert set(by_name) == {method.name for method in methods()} and len(by_name) == 12
    assert found.n_dev_pairs + found.n_test_pairs == 1500 and found.n_test_pairs == on_test(matrix.prompts).sum()
    best = max(found.results, key=lambda result: result.dev_accuracy)
    assert by_name[found.chosen].dev_accuracy == pytest.approx(best.dev_accuracy, abs=1e-6)
    # All that is known of test is reported, and nothing is chosen by it: other labels there change no weight.
    test = on_test(matrix.prompts)
    turned = PairMatrix(
        matrix.rule_ids, np.where(test[:, None], matrix.rejected, matrix.chosen),
        np.where(test[:, None], matrix.chosen, matrix.rejected), matrix.prompts,
    )  # fmt: skip
    other = choose_weights(turned, rounds=200)
    assert other.chosen == found.chosen and other.kept == found.kept
    for one, two in zip(found.results, other.results, strict=True):
        assert one.weights == two.weights and one.test.value == pytest.approx(1 - two.test.value, abs=1e-9)
    chosen = by_name[found.chosen]
    assert chosen.over_uniform.low > 0.03
    part = matrix.of(test)
    weights = np.array([chosen.weights.get(rule_id, 0.0) for rule_id in matrix.rule_ids])
    again = np.nan_to_num(pair_accuracy(*pair_scores(part, weights)), nan=0.5).mean()
    assert chosen.test.value == pytest.approx(again)
    assert not {f"r{i}" for i in range(30, 34)} & set(chosen.weights)


def test_hinge_is_never_chosen_unnamed_since_it_knows_the_model(matrix):
    scored = with_scores(matrix)
    found = choose_weights(scored, rounds=100)
    hinged = next(result for result in found.results if result.method == "hinge")
    assert not found.chosen.startswith("hinge") and hinged.rule_weight > 0
    assert choose_weights(scored, rounds=100, by="hinge").chosen == "hinge"
    with pytest.raises(ConfigError, match="hinge needs scores of a reward model"):
        choose_weights(matrix, by="hinge")


def test_too_few_prompts_to_choose_by_are_refused():
    matrix = simulate(np.random.default_rng(0), GOOD, n_prompts=9, per_prompt=50)
    with pytest.raises(ConfigError, match="9 prompts are too few to choose weights"):
        choose_weights(matrix)
