"""Rules that code decides."""

import pytest
from pydantic import ValidationError

from autorule.backends.scripted import ScriptedBackend
from autorule.records import Rule
from autorule.verifier import Verifier
from tests.conftest import make_completion, make_rule_set

CASES = [
    ({"kind": "count", "of": "words", "at_most": 3}, "one two three", "one two three four"),
    ({"kind": "count", "of": "words", "at_least": 2}, "one two", "one"),
    ({"kind": "count", "of": "sentences", "at_least": 2, "at_most": 2}, "It is 3.14. Really?", "It is 3.14 here"),
    ({"kind": "count", "of": "sentences", "at_most": 0}, " \n", "Yes."),
    ({"kind": "count", "of": "sentences", "at_least": 2}, "好的。再见。", "好的"),
    ({"kind": "count", "of": "paragraphs", "at_least": 2}, "a\n \nb", "a\nb"),
    ({"kind": "count", "of": "list_items", "at_least": 3}, "- a\n* b\n3. c", "a - b\n-c\n1.5 is more"),
    ({"kind": "count", "of": "headings", "at_least": 1}, "# Title\ntext", "#tag"),
    ({"kind": "count", "of": "characters", "at_most": 4}, "four", "fives"),
    ({"kind": "keywords", "words": ["pear", "red apple"]}, "A Pear, a red apple.", "pears and a red apple"),
    ({"kind": "keywords", "words": ["a", "b"], "need": "any"}, "x b", "x"),
    ({"kind": "keywords", "words": ["sorry"], "need": "none"}, "Fine.", "Sorry!"),
    ({"kind": "keywords", "words": ["c++"]}, "I use C++.", "I use C."),
    ({"kind": "case", "letters": "upper"}, "ALL 3!", "All"),
    ({"kind": "case", "letters": "lower"}, "all 3!", "123"),
    ({"kind": "punctuation", "ends_with": ".!?"}, "Done. ", "Done"),
    ({"kind": "punctuation", "without": ","}, "a b", "a, b"),
    ({"kind": "edge", "at": "start", "text": "Answer:"}, "  Answer: 4", "The Answer: 4"),
    ({"kind": "edge", "at": "end", "text": "Bye"}, "So. Bye\n", "Bye now"),
    ({"kind": "json"}, '{"a": [1]}', "{'a': 1}"),
    ({"kind": "json", "keys": ["a"]}, '```json\n{"a": 1}\n```', "[1]"),
    ({"kind": "json"}, "3", "NaN"),
    ({"kind": "json"}, "[]", "[" * 100_000),
]


def rule_with(check):
    return Rule(rule_id="c", text="A rule.", support=0, check=check)


@pytest.mark.parametrize(("check", "good", "bad"), CASES)
def test_a_check_holds_for_one_text_and_not_for_the_other(check, good, bad):
    found = rule_with(check).check
    assert found.holds(good)
    assert not found.holds(bad)


@pytest.mark.parametrize("text", ["", " ", "\x00", "\n\n\n", "```json\n```"])
@pytest.mark.parametrize("check", [case[0] for case in CASES])
def test_no_text_breaks_a_check(check, text):
    assert rule_with(check).check.holds(text) in (True, False)


@pytest.mark.parametrize(
    ("check", "named"),
    [
        ({"kind": "count", "of": "words"}, "at_least, at_most"),
        ({"kind": "count", "of": "words", "at_least": 3, "at_most": 2}, "at_least 3 is more"),
        ({"kind": "count", "of": "verbs", "at_least": 3}, "words"),
        ({"kind": "keywords", "words": [" "]}, "pattern"),
        ({"kind": "punctuation"}, "ends_with, without"),
        ({"kind": "python", "source": "x"}, "python"),
    ],
)
def test_a_bad_check_is_refused_by_name(check, named):
    with pytest.raises(ValidationError, match=named):
        rule_with(check)


def set_with_check(n_model_rules=1):
    rule_set = make_rule_set(*(f"Rule {i}." for i in range(n_model_rules)))
    short = rule_with({"kind": "count", "of": "words", "at_most": 3})
    return rule_set.model_copy(update={"rules": (rule_set.rules[0], short, *rule_set.rules[1:])})


def test_the_model_is_not_asked_about_a_rule_with_a_check():
    backend = ScriptedBackend(choice_script=lambda *_: 0.9)
    completions = [make_completion(text="Short."), make_completion(text="This one is not short.")]
    verdicts = dict(Verifier(backend, set_with_check(2)).verdicts(completions))
    assert [[v.verdict for v in verdicts[c.completion_id]] for c in completions] == [["yes"] * 3, ["yes", "no", "yes"]]
    assert len(backend.choice_log) == 4
    assert verdicts[completions[1].completion_id][1].p_yes == 0.0


def test_a_set_of_checks_alone_needs_no_model():
    rule_set = set_with_check()
    rule_set = rule_set.model_copy(update={"rules": rule_set.rules[1:]})
    backend = ScriptedBackend()
    [(_, verdicts)] = Verifier(backend, rule_set).verdicts([make_completion()])
    assert [v.verdict for v in verdicts] == ["yes"]
    assert backend.choice_log == []


def test_a_check_sees_the_answer_without_its_thinking():
    completion = make_completion(text="<think>So many words to think about here.</think>Short.")
    [(_, verdicts)] = Verifier(ScriptedBackend(choice_script=lambda *_: 0.9), set_with_check()).verdicts([completion])
    assert verdicts[1].verdict == "yes"
