"""Whether the one call is as often right as it is sure, and whether the rules beat the baselines, by plain loops."""

import dataclasses
import itertools

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from autorule.config.stages import RewardConfig
from autorule.evaluation.verdict import standing, verdict
from autorule.statistics.accuracies import accuracies
from autorule.statistics.confidence import calibration_error, one_call_bins
from autorule.statistics.records import Accuracy, Interval
from autorule.statistics.rewarded import rewarded_scores
from tests.conftest import make_rule_set
from tests.simulated_verdicts import simulate


def asked_once(n_prompts=300, seed=3):
    """A matrix whose one call was asked of most pairs, sure of itself and right on three of four."""
    rng = np.random.default_rng(seed)
    made = simulate(rng, (0.7, 0.5), n_prompts=n_prompts)
    confidence = rng.uniform(0.5, 1, n_prompts)
    p = np.where(rng.random(n_prompts) < 0.75, confidence, 1 - confidence)
    p[:10], p[10:15] = np.nan, 0.5
    lengths = rng.integers(50, 60, (2, n_prompts)).astype(float)
    return dataclasses.replace(made, one_call=p, chosen_length=lengths[0], rejected_length=lengths[1])


def test_bins_of_the_one_call_hold_each_pair_once():
    matrix = asked_once()
    bins = one_call_bins(matrix)
    assert len(bins) == 5 and sum(one.n_pairs for one in bins) == 285
    assert all(one.high < other.low for one, other in itertools.pairwise(bins))
    error = 0.0
    for one in bins:
        own = [p for p in matrix.one_call if one.low - 1e-9 <= max(p, 1 - p) <= one.high + 1e-9]
        hits = sum(p > 0.5 for p in own)
        assert one.n_pairs == len(own) and one.accuracy.value == hits / len(own)
        assert one.confidence == pytest.approx(sum(max(p, 1 - p) for p in own) / len(own))
        assert (one.accuracy.low, one.accuracy.high) == pytest.approx(
            proportion_confint(hits, len(own), method="wilson")
        )
        error += len(own) / 285 * abs(hits / len(own) - one.confidence)
    assert calibration_error(bins) == pytest.approx(error)


def test_a_call_that_names_no_side_has_no_bins():
    matrix = asked_once(60)
    assert one_call_bins(dataclasses.replace(matrix, one_call=None)) == []
    assert one_call_bins(dataclasses.replace(matrix, one_call=np.full(60, 0.5))) == []
    assert one_call_bins(dataclasses.replace(matrix, one_call=np.full(60, np.nan))) == []
    [one] = one_call_bins(dataclasses.replace(matrix, one_call=np.full(60, 0.8)))
    assert one.n_pairs == 60 and one.accuracy.value == 1.0 and one.confidence == pytest.approx(0.8)
    assert calibration_error([]) is None and calibration_error([one]) == pytest.approx(0.2)


def test_the_rules_are_compared_with_each_baseline_pair_by_pair():
    matrix = asked_once()
    rules, reward = make_rule_set("One.", "Two.").rules, RewardConfig()
    by_name = {one.name: one for one in accuracies(matrix, rules, reward, 300, 0)}
    assert {name for name, one in by_name.items() if one.rewarded_over is not None} == {
        "random", "longer response", "one call about both",
    }  # fmt: skip
    sides = rewarded_scores(matrix, rules, reward)
    differences = []
    for i in range(matrix.n_pairs):
        ways = ((sides[0][i], sides[1][i]), (matrix.one_call[i], 1 - matrix.one_call[i]))
        mine, its = (0.5 if abs(a - b) < 1e-9 else float(a > b) for a, b in ways)
        if not np.isnan([value for way in ways for value in way]).any():
            differences.append(mine - its)
    over = by_name["one call about both"].rewarded_over
    assert over.value == pytest.approx(np.mean(differences)) and over.low < over.value < over.high
    found = standing(list(by_name.values()))
    assert found.baseline.name == "one call about both" and found.over == over
    assert f"{100 * abs(over.value):.1f} pp fewer pairs right than the best baseline" in verdict(list(by_name.values()))


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ((0.05, 0.01, 0.09), "tell 5.0 pp more pairs right than the best baseline (longer response), surely"),
        ((0.05, -0.01, 0.11), "tell 5.0 pp more pairs right than the best baseline (longer response), within chance"),
        ((-0.05, -0.09, -0.01), "tell 5.0 pp fewer pairs right than the best baseline (longer response), surely"),
        ((-0.0001, -0.1, 0.1), "tell no more and no fewer pairs right"),
        ((0.05, None, None), "too few prompts to say how surely"),
    ],
)
def test_the_verdict_says_what_the_interval_says(over, words):
    def way(name, value, over):
        own = Interval(value=value, low=None, high=None)
        return Accuracy(name=name, accuracy=own, rewarded_over=over, n_pairs=9, tied=0.0)

    value, low, high = over
    ways = [
        way("as rewarded", 0.6, None),
        way("random", 0.5, Interval(value=0.1, low=low and 0.05, high=high and 0.2)),
        way("longer response", 0.6, Interval(value=value, low=low, high=high)),
    ]
    assert words in verdict(ways)
    assert verdict(ways[:1]) is None
    handful = way("reward model", 1.0, Interval(value=-0.2, low=None, high=None))
    assert ("(longer response)" in verdict([*ways, handful])) == (low is not None)
