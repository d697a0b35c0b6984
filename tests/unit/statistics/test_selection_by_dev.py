"""What a selection may look at, and what it says of what it wrote."""

import dataclasses

import numpy as np
import pytest

from autorule.errors import ConfigError
from autorule.evaluation.apply import _mirrored, select
from autorule.rules.editing import pin
from autorule.statistics.agreement import measure_agreement
from autorule.statistics.choosing import dev_and_test
from autorule.statistics.matrix import NOT_APPLICABLE, UNSCORED
from autorule.statistics.splits import on_test
from autorule.statistics.weighting import on_model, pair_accuracy
from tests.conftest import make_rule_set
from tests.simulated_verdicts import simulate


def selected(rule_set, matrix, **options):
    matrix = dataclasses.replace(matrix, rule_ids=tuple(rule.rule_id for rule in rule_set.rules))
    pairs = [{"prompt_id": f"p{prompt}"} for prompt in matrix.prompts]
    settings = {"method": "best", "by": "me", "rate": 0.05, "rounds": 100, **options}
    return select(rule_set, matrix, pairs, **settings)


def with_test_turned(matrix):
    """The labels of test turned around: a selection that looks at dev alone sees the same."""
    turned = on_test(matrix.prompts)[:, None]
    chosen, rejected = np.where(turned, (matrix.rejected, matrix.chosen), (matrix.chosen, matrix.rejected))
    return dataclasses.replace(matrix, chosen=chosen, rejected=rejected)


def test_rules_weights_statistics_and_inversions_are_those_of_dev():
    matrix = simulate(np.random.default_rng(0), (0.75, 0.65, 0.36, 0.45), n_prompts=600)
    rule_set = make_rule_set(*"abcd")
    after, _ = selected(rule_set, matrix, invert=True)
    other, _ = selected(rule_set, with_test_turned(matrix), invert=True)
    assert after.rules == other.rules and [rule.inverted for rule in after.rules] == [False, False, True]
    dev, _ = dev_and_test(matrix, 0)
    assert after.rules[0].statistics["agreement"] == measure_agreement(dev).agreement[0]
    assert after.rules[0].statistics["n_discordant"] == measure_agreement(dev).n_discordant[0]


def test_a_rule_that_is_turned_around_has_its_probabilities_turned_too():
    matrix = simulate(np.random.default_rng(0), (0.7, 0.3), n_prompts=50)
    p_yes = np.where(matrix.chosen == 1, 0.8, 0.1)
    matrix.chosen[0, 1], matrix.chosen[1, 1] = NOT_APPLICABLE, UNSCORED
    turned = _mirrored(dataclasses.replace(matrix, chosen_p=p_yes, rejected_p=p_yes), [1], ("a", "b"))
    assert (turned.chosen_p[:, 0] == p_yes[:, 0]).all() and turned.chosen_p[:, 1] == pytest.approx(1 - p_yes[:, 1])
    assert turned.rejected_p[:, 1] == pytest.approx(1 - p_yes[:, 1])
    assert turned.chosen[:2, 1].tolist() == [NOT_APPLICABLE, UNSCORED]
    assert (turned.chosen[2:, 1] == 1 - matrix.chosen[2:, 1]).all() and (
        turned.chosen[:, 0] == matrix.chosen[:, 0]
    ).all()


def test_a_rule_whose_opposite_is_no_better_is_dropped_and_not_turned_around():
    """N/A counts as no: people prefer responses that the rule does not apply to, and so does its opposite."""
    matrix = simulate(np.random.default_rng(0), (0.75, 0.5), n_prompts=600)
    matrix.chosen[:, 1] = NOT_APPLICABLE
    matrix.rejected[:, 1] = np.random.default_rng(1).integers(0, 2, matrix.n_pairs)
    matrix = dataclasses.replace(matrix, na_policy="unsatisfied")
    after, _ = selected(make_rule_set("a", "b"), matrix, invert=True)
    assert [rule.text for rule in after.rules] == ["a"]
    assert {edit.action for edit in after.history} == {"dropped", "weighted"}


def test_hinge_with_a_pinned_rule_tells_the_test_and_the_weight_of_what_was_written():
    matrix = simulate(np.random.default_rng(0), (0.75, 0.7, 0.3), n_prompts=900)
    rng = np.random.default_rng(1)
    scored = dataclasses.replace(
        matrix, chosen_model=rng.normal(0.3, 1, matrix.n_pairs), rejected_model=rng.normal(0, 1, matrix.n_pairs)
    )
    rule_set = make_rule_set(*"abc")
    rule_set = pin(rule_set, rule_set.rules[2].rule_id, "me")
    after, found = selected(rule_set, scored, method="hinge")
    [hinge] = [one for one in found.results if one.method == "hinge"]
    _, test = dev_and_test(scored, 0)
    weights = np.array([rule.weight for rule in after.rules])
    weights *= hinge.rule_weight / weights[:2].sum()  # as fitted; the pinned rule as much as their mean
    right = pair_accuracy(*on_model(test, weights)).mean()
    reason = after.history[-1].reason
    assert f"with the pinned rules on {right:.1%}" in reason and f"rule_weight of {weights.sum():.4g}" in reason
    assert hinge.test.value != pytest.approx(right)


def test_pairs_whose_prompts_the_rules_know_are_in_neither_dev_nor_test():
    matrix = simulate(np.random.default_rng(0), (0.75, 0.7), n_prompts=600)
    known = [f"p{prompt}" for prompt in range(0, 600, 3)]
    rule_set = make_rule_set("a", "b").model_copy(update={"tuned_prompts": tuple(sorted(known))})
    after, found = selected(rule_set, matrix)
    assert found.n_dev_pairs + found.n_test_pairs == 400
    assert "200 pairs whose prompts the rules were mined from, or chosen by, are in neither" in after.history[-1].reason
    seen = rule_set.model_copy(update={"tuned_prompts": tuple(sorted(f"p{prompt}" for prompt in range(600)))})
    with pytest.raises(ConfigError, match="every prompt of the evaluation"):
        selected(seen, matrix)


def test_what_is_left_of_an_earlier_selection_is_for_its_test():
    matrix = simulate(np.random.default_rng(0), (0.75, 0.7), n_prompts=300)
    with pytest.raises(ConfigError, match=r"0 to choose by and 85 to test on.*as after `select`"):
        dev_and_test(matrix.of(on_test(matrix.prompts)), 0)
