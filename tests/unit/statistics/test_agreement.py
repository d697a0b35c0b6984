"""Statistics of single rules: against independent implementations, and on matrices whose truth is known."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from autorule.statistics.agreement import by_prompt, effective_sizes, measure_agreement, wilson
from autorule.statistics.matrix import NOT_APPLICABLE, UNSCORED, PairMatrix
from autorule.statistics.redundancy import correlations, phi_of_verdicts
from autorule.statistics.selection import select_rules
from tests.simulated_verdicts import simulate


def matrix_of(chosen, rejected, prompts=None, **fields):
    chosen, rejected = (np.asarray(side, dtype=np.int8) for side in (chosen, rejected))
    prompts = np.arange(len(chosen)) if prompts is None else np.asarray(prompts)
    return PairMatrix(tuple(f"r{i}" for i in range(chosen.shape[1])), chosen, rejected, prompts, **fields)


def test_a_worked_example():
    # Seven pairs: told apart are five; of these four agree.
    chosen = [[1], [1], [1], [1], [0], [1], [0]]
    rejected = [[0], [0], [0], [0], [1], [1], [0]]
    found = measure_agreement(matrix_of(chosen, rejected))
    assert (found.n_discordant[0], found.agreement[0], found.n_effective[0]) == (5, 0.8, 5)
    assert found.p_value[0] == pytest.approx(stats.binomtest(4, 5).pvalue)


def test_wilson_and_benjamini_hochberg_are_those_of_statsmodels():
    matrix = simulate(np.random.default_rng(3), [0.5] * 30 + [0.58] * 10, n_prompts=400)
    found = measure_agreement(matrix)
    for i in range(matrix.n_rules):
        n = int(found.n_discordant[i])
        hits = round(found.agreement[i] * n)
        assert (found.low[i], found.high[i]) == pytest.approx(proportion_confint(hits, n, method="wilson"), abs=1e-9)
        assert found.p_value[i] == pytest.approx(stats.binomtest(hits, n).pvalue)
    decided, *_ = multipletests(found.p_value, alpha=0.05, method="fdr_bh")
    assert (found.significant == decided).all()


def test_pairs_of_one_prompt_count_as_what_they_tell():
    # Eighty prompts of six pairs that all say the same: eighty independent answers, not 480.
    answers = np.tile([1, 1, 1, 0, 1, 0, 0, 0], 10).repeat(6)[:, None]
    prompts = np.arange(80).repeat(6)
    repeated = measure_agreement(matrix_of(answers, 1 - answers, prompts))
    once = measure_agreement(matrix_of(answers[::6], 1 - answers[::6]))
    assert repeated.agreement[0] == once.agreement[0]
    assert repeated.n_effective[0] == pytest.approx(once.n_effective[0], rel=0.05)
    assert repeated.p_value[0] > 0.3


ZIPF = np.maximum(1, np.round(200 / np.arange(1, 48))).astype(int)
"""Pairs of 47 prompts: the first has two hundred, most have few."""


@pytest.mark.parametrize(
    ("n_prompts", "per_prompt"), [(5, 40), (10, 30), (20, 20), (47, ZIPF), (101, np.r_[500, np.ones(100, dtype=int)])]
)
def test_few_or_unequal_prompts_raise_no_more_false_alarms(n_prompts, per_prompt):
    """Noise alone. By the number of prompts, and without turning them around, 0.13 to 1 of the sets had a finding."""
    p_values, covered, any_found = [], [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        found = measure_agreement(simulate(rng, np.full(100, 0.5), n_prompts, per_prompt, spread=0.2))
        p_values += found.p_value.tolist()
        covered += ((found.low <= 0.5) & (found.high >= 0.5)).tolist()
        any_found.append(found.significant.any())
    assert np.mean(np.array(p_values) < 0.05) < 0.06 and np.mean(np.array(p_values) < 0.001) <= 0.001
    assert np.mean(covered) > 0.93 and np.mean(any_found) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 60)


@pytest.mark.parametrize("n_prompts", [6, 80])
def test_the_p_value_of_shared_prompts_is_the_greater_of_two(n_prompts):
    """Of the binomial at the effective size, and where prompts are few that of scipy's permutations of signs."""
    matrix = simulate(np.random.default_rng(4), [0.8, 0.65, 0.5, 0.6], n_prompts, per_prompt=30, spread=0.1)
    found, exact_is_greater = measure_agreement(matrix), []
    for i in range(4):
        ahead = by_prompt(np.nan_to_num(matrix.differences()[:, [i]]), matrix.prompts)[:, 0]
        exact = 0.0
        if n_prompts == 6:
            exact = stats.permutation_test((ahead,), np.sum, permutation_type="samples", n_resamples=np.inf).pvalue
        n = round(found.n_effective[i])
        binomial = stats.binomtest(round(found.agreement[i] * n), n).pvalue
        assert found.p_value[i] == pytest.approx(max(exact, binomial))
        exact_is_greater.append(exact > binomial)
    assert any(exact_is_greater) == (n_prompts == 6)


def test_the_false_discovery_rate_is_the_one_asked_for():
    matrix = simulate(np.random.default_rng(3), [0.5] * 30 + [0.56] * 30, n_prompts=300)
    for rate in (0.01, 0.05, 0.3):
        found = measure_agreement(matrix, rate)
        decided, adjusted, *_ = multipletests(found.p_value, alpha=rate, method="fdr_bh")
        assert (found.significant == decided).all() and found.adjusted_p == pytest.approx(adjusted)
    assert decided.sum() > measure_agreement(matrix, 0.01).significant.sum()


def test_pairs_that_balance_within_their_prompts_count_as_no_more_than_they_are():
    chosen = np.tile([1, 0], 40)[:, None]
    assert measure_agreement(matrix_of(chosen, 1 - chosen, np.repeat(np.arange(40), 2))).n_effective[0] == 80


def test_prompts_need_not_be_sorted():
    rng = np.random.default_rng(0)
    matrix = simulate(rng, [0.6] * 5, n_prompts=50, per_prompt=4, spread=0.3)
    shuffled = matrix.of(rng.permutation(matrix.n_pairs))
    assert measure_agreement(shuffled).n_effective == pytest.approx(measure_agreement(matrix).n_effective)
    assert by_prompt(np.ones((3, 1)), np.array([7, 2, 7])).tolist() == [[1], [2]]


def test_rules_that_say_nothing_prove_nothing():
    chosen = [[1, UNSCORED, NOT_APPLICABLE], [1, 0, 1]]
    rejected = [[1, 1, 0], [1, 0, NOT_APPLICABLE]]
    found = measure_agreement(matrix_of(chosen, rejected))
    assert found.n_discordant.tolist() == [0, 0, 0]
    assert np.isnan(found.agreement).all() and np.isnan(found.low).all()
    assert found.p_value.tolist() == [1, 1, 1] and not found.significant.any()
    counted = measure_agreement(matrix_of(chosen, rejected, na_policy="unsatisfied"))
    assert counted.n_discordant.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("n_prompts", "per_prompt", "spread"),
    [(600, 1, 0.0), (150, 4, 0.3), (100, 6, 0.15), (47, ZIPF, 0.2), (150, np.arange(1, 151) % 12 + 1, 0.2)],
)
def test_intervals_hold_what_they_promise(n_prompts, per_prompt, spread):
    """Two thousand simulations, a rule each, at three true agreements."""
    rng = np.random.default_rng(11)
    truth = np.repeat([0.5, 0.65, 0.75], [700, 700, 600])
    found = measure_agreement(simulate(rng, truth, n_prompts, per_prompt, spread))
    covered = (found.low <= truth) & (truth <= found.high)
    assert 0.93 <= covered.mean() <= 0.97


@pytest.mark.parametrize("agreements", [[0.5] * 200, [0.5] * 80 + [0.6] * 20])
def test_the_false_discovery_rate_holds(agreements):
    """Mean share of false discoveries over 500 simulations, within two standard errors of the rate."""
    rng = np.random.default_rng(5)
    noise = np.asarray(agreements) == 0.5
    shares = []
    for _ in range(500):
        found = measure_agreement(simulate(rng, agreements, n_prompts=200))
        shares.append((found.significant & noise).sum() / max(1, found.significant.sum()))
    assert np.mean(shares) <= 0.05 + 2 * np.std(shares) / np.sqrt(500)


GOOD = np.linspace(0.62, 0.75, 20)
REVERSED = np.linspace(0.25, 0.38, 10)


def test_selection_finds_the_good_rules():
    """20 good rules, 60 of noise, 10 reversed, 10 duplicates of good ones; 1,500 pairs, 200 seeds."""
    agreements = np.concatenate([GOOD, np.full(60, 0.5), REVERSED, np.full(10, 0.5)])
    duplicates = [(90 + i, 2 * i) for i in range(10)]
    good, noise, reversed_, folded = [], [], [], []
    for seed in range(200):
        matrix = simulate(np.random.default_rng(seed), agreements, duplicates=duplicates)
        decisions = [one.decision for one in select_rules(matrix)]
        groups = [{i, *(copy for copy, original in duplicates if original == i)} for i in range(20)]
        kept = {i for i, decision in enumerate(decisions) if decision == "keep"}
        good.append(sum(bool(group & kept) for group in groups))
        folded.append(all(len(group & kept) <= 1 for group in groups))
        noise.append(len(kept & set(range(20, 80))))
        reversed_.append(decisions[80:90].count("reversed"))
    assert np.mean(good) >= 18
    assert np.mean(noise) <= 3
    assert min(reversed_) == 10
    assert np.mean(folded) == 1


def test_rules_that_seldom_speak_of_the_same_pairs_are_no_duplicates():
    """Each applies to one of twenty pairs: of two, few pairs are shared, and on these few they agree by chance."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        matrix = simulate(rng, np.full(30, 0.85), n_prompts=3000, discordant=0.9)
        silent = rng.random((3000, 30)) > 0.05
        matrix.chosen[silent] = matrix.rejected[silent] = NOT_APPLICABLE
        decisions = [one.decision for one in select_rules(matrix)]
        assert decisions.count("duplicate") == 0 and decisions.count("keep") >= 28
    phi = phi_of_verdicts(matrix.of(np.arange(200)))
    assert np.isnan(phi[~np.eye(30, dtype=bool)]).mean() > 0.9, "too few verdicts are shared to tell"


def test_every_decision_has_its_reason():
    rng = np.random.default_rng(0)
    matrix = simulate(rng, [0.7, 0.7, 0.5, 0.3], n_prompts=500, duplicates=[(1, 0)])
    found = {one.rule_id: one for one in select_rules(matrix)}
    assert sorted(one.decision for one in found.values()) == ["duplicate", "keep", "reversed", "unproven"]
    twin = next(one for one in found.values() if one.decision == "duplicate")
    assert found[twin.duplicate_of].decision == "keep" and twin.duplicate_of in twin.reason
    assert twin.reason.endswith("over 1000 that both have")


def test_a_rule_that_is_sure_alone_but_not_among_many_is_told_so():
    one = simulate(np.random.default_rng(2), [0.62], n_prompts=150, discordant=0.5)
    noise = simulate(np.random.default_rng(0), [0.5] * 40, n_prompts=150)
    sides = (np.concatenate(side, axis=1) for side in ((one.chosen, noise.chosen), (one.rejected, noise.rejected)))
    [alone], [among, *_] = select_rules(one), select_rules(matrix_of(*sides))
    assert alone.decision == "keep" and among.decision == "unproven"
    assert "of 41 rules, one may do so by chance (p = " in among.reason


def test_correlations_are_those_of_numpy_and_know_gaps():
    rng = np.random.default_rng(1)
    values = rng.integers(0, 2, (200, 4)).astype(float)
    assert correlations(values) == pytest.approx(np.corrcoef(values.T))
    gaps = values.copy()
    gaps[rng.random(gaps.shape) < 0.3] = np.nan
    both = ~np.isnan(gaps[:, 0]) & ~np.isnan(gaps[:, 1])
    assert correlations(gaps)[0, 1] == pytest.approx(np.corrcoef(gaps[both, 0], gaps[both, 1])[0, 1])
    constant = matrix_of(np.ones((5, 1)), np.ones((5, 1)))
    assert np.isnan(phi_of_verdicts(constant)).all(), "unknown, not 0"


@pytest.mark.parametrize("n", [1, 7, 10, 194, 199, 1000])
def test_an_interval_holds_its_share_to_the_last_bit(n):
    shares = np.arange(n + 1) / n
    low, high = wilson(shares, np.full(n + 1, float(n)))
    assert (low <= shares).all() and (shares <= high).all() and low[0] == 0 and high[-1] == 1


def test_no_prompt_no_statistics():
    assert np.isnan(wilson(np.array([np.nan]), np.array([0.0]))[0]).all()
    empty = np.zeros((0, 2), dtype=bool)
    assert effective_sizes(empty, empty, np.zeros(0, dtype=int)).tolist() == [0, 0]
