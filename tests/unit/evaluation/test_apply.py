"""A selection written into a rule set, and rules that are turned around wherever rules are handled."""

import dataclasses

import numpy as np
import pytest

from autorule.errors import RuleSetError
from autorule.evaluation.apply import select
from autorule.evaluation.one_call import _conversation
from autorule.preferences.fields import FieldMap
from autorule.preferences.readers import Row
from autorule.records import Message
from autorule.rules.editing import pin, reword
from autorule.rules.matching import match_rules
from autorule.rules.merging import merge_rule_sets
from autorule.rules.text import new_rule_id
from autorule.statistics.matrix import UNSCORED
from autorule.statistics.redundancy import phi_of_verdicts
from autorule.statistics.rule_statistics import rule_statistics
from autorule.statistics.splits import on_test
from autorule.statistics.weighting import pair_accuracy, pair_scores, whitened
from tests.conftest import make_completion, make_rule_set
from tests.simulated_verdicts import simulate


def inverted(rule):
    turned = rule.model_copy(update={"inverted": True})
    return turned.model_copy(update={"rule_id": new_rule_id(turned.criterion)})


def selected(rule_set, matrix, **options):
    ids = tuple(rule.rule_id for rule in rule_set.rules)
    matrix = dataclasses.replace(matrix, rule_ids=ids)
    pairs = [{"prompt_id": f"p{prompt}"} for prompt in matrix.prompts]
    settings = {"method": "best", "by": "me", "rate": 0.05, "rounds": 100, **options}
    return select(rule_set, matrix, pairs, **settings)


def test_the_history_tells_the_test_of_what_was_written_pinned_rules_among_it():
    matrix = simulate(np.random.default_rng(0), (0.75, 0.7, 0.3, 0.3, 0.3), n_prompts=600)
    rule_set = make_rule_set(*"abcde")
    for rule in rule_set.rules[2:]:
        rule_set = pin(rule_set, rule.rule_id, "me")
    after, found = selected(rule_set, matrix, method="uniform")
    assert [rule.text for rule in after.rules] == list("abcde")
    part = matrix.of(on_test(matrix.prompts))
    right = pair_accuracy(*pair_scores(part, np.ones(5))).mean()
    assert f"with the pinned rules on {right:.1%}" in after.history[-1].reason
    assert found.results[0].test.value > right + 0.1


def test_the_prompts_of_dev_are_noted_and_those_of_test_are_not():
    matrix = simulate(np.random.default_rng(0), (0.75, 0.7), n_prompts=300)
    after, _ = selected(make_rule_set("a", "b"), matrix)
    expected = {f"p{prompt}" for prompt in matrix.prompts[~on_test(matrix.prompts)]}
    assert set(after.tuned_prompts) == expected and after.seen_prompts == expected
    merged = merge_rule_sets([after, make_rule_set("something else")], ["a", "b"], "me")
    assert set(merged.tuned_prompts) == expected


def test_pinned_rules_and_rules_with_their_opposite_beside_them_are_not_turned_around():
    matrix = simulate(np.random.default_rng(0), (0.75, 0.25, 0.25), n_prompts=600)
    rule_set = make_rule_set("Good.", "Bad.", "Kept.")
    rule_set = pin(rule_set, rule_set.rules[2].rule_id, "me")
    after, _ = selected(rule_set, matrix, invert=True)
    by_text = {rule.text: rule for rule in after.rules}
    assert by_text["Bad."].inverted and not by_text["Kept."].inverted and by_text["Kept."].pinned
    twins = make_rule_set("Good.", "Bad.")
    twins = twins.model_copy(update={"rules": (*twins.rules, inverted(twins.rules[1]))})
    matrix = simulate(np.random.default_rng(1), (0.75, 0.25, 0.75), n_prompts=600)
    after, _ = selected(twins, matrix, invert=True)
    assert [(rule.text, rule.inverted) for rule in after.rules] == [("Good.", False), ("Bad.", True)]


def test_nothing_kept_is_an_error():
    matrix = simulate(np.random.default_rng(0), (0.5, 0.3), n_prompts=300)
    with pytest.raises(RuleSetError, match="nothing is written"):
        selected(make_rule_set("a", "b"), matrix)


def test_a_rule_and_its_opposite_are_two_rules():
    one = make_rule_set("Use many emoji in the answer.")
    other = one.model_copy(update={"rules": (inverted(one.rules[0]),)})
    merged = merge_rule_sets([one, other], ["one", "other"], "me")
    assert sorted(rule.inverted for rule in merged.rules) == [False, True]
    assert [match.kind for match in match_rules(one.rules, other.rules)] == ["gone", "new"]


def test_a_rule_that_is_turned_around_stays_so_in_other_words():
    rule_set = make_rule_set("Use emoji.")
    turned = rule_set.model_copy(update={"rules": (inverted(rule_set.rules[0]),)})
    after = reword(turned, turned.rules[0].rule_id, "Use emojis.", "me")
    [rule] = after.rules
    assert rule.inverted and rule.rule_id == new_rule_id(rule.criterion)
    assert after.history[-1].before == "Not true of the response: Use emoji."
    assert after.history[-1].after == "Not true of the response: Use emojis."


@pytest.mark.parametrize("value", [1, UNSCORED])
def test_a_rule_that_never_varies_has_no_whitened_weight_and_no_neighbour(value):
    matrix = simulate(np.random.default_rng(0), (0.7, 0.6, 0.5), n_prompts=300)
    matrix.chosen[:, 2] = matrix.rejected[:, 2] = value
    weights = whitened(matrix)
    assert weights[2] == 0 and weights[:2].max() < 2 * weights[:2].min()
    rules = make_rule_set("a", "b", "c").rules
    found = rule_statistics(matrix, rules, phi_of_verdicts(matrix), [1, 1, 1], {}, 0.05)
    assert found[2].nearest_rule is None and found[0].nearest_rule == rules[1].rule_id


def test_one_call_shows_whole_responses_where_there_is_room():
    short_turns = tuple(Message(role="user", content=f"turn {i}") for i in range(40))
    long = make_completion("q", "r" * 3000).model_copy(update={"prompt": short_turns})
    assert "r" * 3000 in _conversation(long, long, 40_000)
    assert "left out" in _conversation(long, long, 4_000)


def test_strength_is_read_only_where_it_is_named():
    row = Row(1, {"prompt": "q", "chosen": "a", "rejected": "b", "strength": "strong", "sure": -2})
    assert FieldMap().read_pair(row).strength is None
    assert FieldMap({"strength": "sure"}).read_pair(row).strength == 2
    [reason] = FieldMap({"strength": "strength"}).read_pair(row).reasons
    assert reason.code == "bad_score"
    tie = Row(2, {"prompt": "q", "response_a": "a", "response_b": "b", "winner": "tie", "sure": 0})
    assert FieldMap({"strength": "sure"}, keep_ties=True).read_pair(tie).tie
