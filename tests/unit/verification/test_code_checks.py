"""Rules that code decides."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from autorule.backends.scripted import ScriptedBackend
from autorule.errors import ConfigError
from autorule.records import Rule
from autorule.verification.code_checks import COUNTERS, holds
from autorule.verification.verifier import Verifier
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
    ({"kind": "json"}, "```json\r\n{}\r\n```", "```\r\nx\r\n```"),
    ({"kind": "count", "of": "headings", "at_most": 1}, "# One\n```\n# a\n# b\n```", "# One\n# Two"),
    ({"kind": "count", "of": "list_items", "at_most": 1}, "- a\n```yaml\n- b\n- c\n```", "- a\n- b"),
    ({"kind": "keywords", "words": ["苹果"]}, "我吃苹果了", "我吃梨"),
    ({"kind": "language", "code": "en"}, "This is a sentence in plain English.", "Dies ist ein deutscher Satz."),
    ({"kind": "language", "code": "de"}, "Dies ist ein deutscher Satz.", "123"),
    ({"kind": "ifeval", "instruction": "punctuation:no_comma"}, "One two.", "One, two."),
    (
        {
            "kind": "ifeval",
            "instruction": "length_constraints:number_words",
            "parameters": {"num_words": 3, "relation": "less than"},
        },
        "One two",
        "One two three four",
    ),
]


def rule_with(check):
    return Rule(rule_id="c", text="A rule.", support=0, check=check)


@pytest.mark.parametrize(("check", "good", "bad"), CASES)
def test_a_check_holds_for_one_text_and_not_for_the_other(check, good, bad):
    found = rule_with(check).check
    assert holds(found, good)
    assert not holds(found, bad)


@pytest.mark.parametrize("text", ["", " ", "\x00", "\n\n\n", "```json\n```"])
@pytest.mark.parametrize("check", [case[0] for case in CASES])
def test_no_text_breaks_a_check(check, text):
    assert holds(rule_with(check).check, text) in (True, False)


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


def test_languages_are_told_in_many_threads():
    """langdetect loads its profiles at the first call, and not safely."""
    code = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from functools import partial\n"
        "from autorule.code_checks import LanguageCheck\n"
        "from autorule.verification.code_checks import holds\n"
        "check = LanguageCheck(code='en')\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    print(all(pool.map(partial(holds, check), ['This is a sentence in plain English.'] * 32)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr


@pytest.mark.parametrize("given", [{}, {"num_words": None, "relation": "at least"}, {"words": 3}])
def test_an_instruction_of_ifeval_without_its_parameters_is_refused(given):
    check = rule_with({"kind": "ifeval", "instruction": "length_constraints:number_words", "parameters": given}).check
    with pytest.raises(ConfigError, match="needs the parameters"):
        holds(check, "One two.")


def test_an_unknown_instruction_is_refused():
    with pytest.raises(ConfigError, match="no instruction 'x'"):
        holds(rule_with({"kind": "ifeval", "instruction": "x"}).check, "One two.")


@pytest.mark.parametrize("text", ["." * 400_000 + "x", "\n" * 400_000 + "x", "`" * 400_000, "- " * 200_000])
@pytest.mark.parametrize("of", list(COUNTERS))
def test_counting_takes_a_time_that_grows_with_the_text(of, text):
    """A quadratic pattern would take minutes here."""
    assert COUNTERS[of](text) >= 0
