"""Each shaping function against a worked example computed by hand, and an invariant."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autorule.errors import ConfigError
from autorule.records import Rule
from autorule.rewards.shaping import (
    bound,
    clip_steps,
    combine,
    conciseness,
    delta_steps,
    drop_rules,
    gated_conciseness,
    length_penalty,
    paper_length_penalty,
    preference_as_reward,
)

numbers = st.floats(-50, 50)
steps = st.lists(numbers, min_size=1, max_size=12)


def test_combine_weighs_the_two_rewards():
    # 0.5 * 1.2 + 2 * 0.75 = 0.6 + 1.5
    assert combine(rule=0.75, model_z=1.2, rule_weight=2.0, model_weight=0.5) == pytest.approx(2.1)


def test_preference_as_reward_is_the_mean_chance_to_beat_the_references():
    # sigmoid(2 - 2) = 0.5 and sigmoid(2 - 0.9013877) = sigmoid(ln 3) = 0.75, mean 0.625
    assert preference_as_reward(2.0, [2.0, 2.0 - math.log(3)]) == pytest.approx(0.625)
    with pytest.raises(ConfigError, match="at least one reference"):
        preference_as_reward(1.0, [])


@given(numbers, st.lists(numbers, min_size=1, max_size=5), st.floats(0.1, 5))
def test_preference_as_reward_is_a_probability_that_grows_with_the_logit(logit, references, more):
    value = preference_as_reward(logit, references)
    assert 0 <= value <= 1
    assert preference_as_reward(logit + more, references) >= value
    assert preference_as_reward(logit + 7, [r + 7 for r in references]) == pytest.approx(value, abs=1e-9)


def test_clip_takes_what_is_above_eta_away():
    assert clip_steps([0.9, 0.2, 0.5], eta=0.5) == pytest.approx([0.0, -0.3, 0.0])


@given(steps, st.floats(0, 5))
def test_clipped_steps_never_earn(rewards, eta):
    assert all(value <= 0 for value in clip_steps(rewards, eta))


def test_delta_is_the_difference_to_the_next_step():
    # 0.9 - 0.2, 0.2 - 0.5, the last but one keeps 0.5, the last has none
    assert delta_steps([0.9, 0.2, 0.5, 0.8]) == pytest.approx([0.7, -0.3, 0.5, 0.0])
    assert delta_steps([0.8]) == [0.0]


@given(steps)
def test_what_follows_a_step_sums_up_to_its_reward(rewards):
    shaped = delta_steps(rewards)
    for k in range(len(rewards) - 1):
        assert sum(shaped[k:]) == pytest.approx(rewards[k], abs=1e-6)


def test_the_length_control_of_the_paper():
    # 0.5 * 450 / 300 - 0.5 = 0.25
    assert [paper_length_penalty(n) for n in (0, 300, 450, 600)] == pytest.approx([0, 0, 0.25, 0.5])


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_the_length_control_never_falls(a, b):
    assert paper_length_penalty(min(a, b)) <= paper_length_penalty(max(a, b))


def test_the_length_penalty_rises_evenly():
    # (150 - 100) / (300 - 100) = 0.25 of 2
    assert [length_penalty(n, 100, 300, 2.0) for n in (100, 150, 300, 999)] == pytest.approx([0, 0.5, 2, 2])
    with pytest.raises(ConfigError, match="less than full"):
        length_penalty(1, 5, 5, 1.0)


@given(st.integers(0, 5000), st.integers(0, 400), st.integers(401, 2000), st.floats(0, 3))
def test_the_length_penalty_keeps_its_bounds(length, free, full, most):
    assert 0 <= length_penalty(length, free, full, most) <= most


def test_conciseness_counts_only_as_far_as_the_outcome_is_good():
    assert conciseness(50, 200) == pytest.approx(0.75)
    assert gated_conciseness(outcome=1.0, concise=0.75, weight=0.4) == pytest.approx(0.3)
    assert gated_conciseness(outcome=0.0, concise=1.0, weight=0.4) == 0.0


@given(st.integers(0, 5000), st.integers(1, 5000))
def test_a_bad_outcome_gains_nothing_by_being_short(length, longest):
    assert gated_conciseness(0.0, conciseness(length, longest), 1.0) == 0.0
    assert 0 <= conciseness(length, longest) <= 1


def test_bounds():
    assert [bound(x, -1.0, 2.0) for x in (-3.0, 0.5, 9.0)] == [-1.0, 0.5, 2.0]


@given(numbers, st.floats(-5, 0), st.floats(0, 5))
def test_bounds_hold(x, least, most):
    assert least <= bound(x, least, most) <= most


def rules(n, pinned=()):
    return [Rule(rule_id=f"r{i}", text=f"Rule {i}.", support=1, pinned=i in pinned) for i in range(n)]


def test_dropout_leaves_a_share_out_and_keeps_pinned_rules():
    kept = drop_rules(rules(10, pinned=(3,)), 0.5, seed=1, step=4)
    assert len(kept) == 5
    assert "r3" in [rule.rule_id for rule in kept]


@given(st.integers(1, 20), st.floats(0, 0.99), st.integers(0, 50), st.integers(0, 50))
def test_dropout_is_the_same_for_a_step_and_never_empty(n, share, seed, step):
    kept = drop_rules(rules(n), share, seed, step)
    assert kept == drop_rules(rules(n), share, seed, step)
    assert kept
    assert [r.rule_id for r in kept] == [r.rule_id for r in rules(n) if r in kept]


def test_steps_drop_different_rules():
    kept = {tuple(rule.rule_id for rule in drop_rules(rules(10), 0.5, 0, step)) for step in range(20)}
    assert len(kept) > 1
