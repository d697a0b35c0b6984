"""A reward is a weighted mean, whatever the weights: none is 0 or NaN because they are very large or very small."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autorule.config.stages import RewardConfig
from autorule.errors import InputError
from autorule.records import LEAST_WEIGHT, MOST_WEIGHT, Verdict
from autorule.rewards.rule_reward import tally_verdicts
from autorule.rewards.scaling import learned_scaling
from tests.conftest import make_rule_set

TEXTS = ("It is short.", "It rhymes.", "It is kind.")
WEIGHTS = st.sampled_from((LEAST_WEIGHT, float(MOST_WEIGHT))) | st.floats(LEAST_WEIGHT, MOST_WEIGHT)


def tallied(weights, chances, min_scored=0.8):
    """A chance of None is no verdict."""
    rule_set = make_rule_set(
        *TEXTS[: len(weights)], weights=tuple(weights), reward=RewardConfig(fraction="soft", min_scored=min_scored)
    )
    labels = [None if p is None else "yes" if p >= 0.5 else "no" for p in chances]
    verdicts = [
        Verdict(completion_id="c", rule_id=rule.rule_id, verdict=label, p_yes=p)
        for rule, label, p in zip(rule_set.rules, labels, chances, strict=True)
    ]
    return tally_verdicts(verdicts, rule_set, rule_set.rules)


@given(st.lists(WEIGHTS, min_size=3, max_size=3), st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_the_fraction_lies_between_the_least_and_the_greatest_chance(weights, chances):
    fraction = tallied(weights, chances).fraction
    assert fraction is not None and math.isfinite(fraction)
    assert min(chances) - 1e-9 <= fraction <= max(chances) + 1e-9


@pytest.mark.parametrize("weight", [LEAST_WEIGHT, 1e-12, 1.0, float(MOST_WEIGHT)])
def test_one_yes_and_one_no_of_equal_weight_is_a_half(weight):
    assert tallied((weight, weight), (1.0, 0.0)).fraction == 0.5


@pytest.mark.parametrize("weight", [LEAST_WEIGHT, 1e-12, 1.0, float(MOST_WEIGHT)])
def test_too_few_verdicts_are_no_reward_whatever_the_weights(weight):
    assert tallied((weight, weight), (1.0, None)).fraction is None
    assert tallied((weight, weight), (1.0, None), min_scored=0.5).fraction == 1.0


def test_no_scale_is_learned_from_a_spread_that_is_rounding():
    with pytest.raises(InputError, match="no scale can be learned"):
        learned_scaling([0.5 + 1e-15 * i for i in range(40)])
    scale, centre, _ = learned_scaling([i / 40 for i in range(40)])
    assert RewardConfig(scale=scale, centre=centre).scale == scale
