import json

import pytest

from autorule.backends.scripted import ScriptedBackend
from autorule.config.stages import VerificationConfig
from autorule.errors import ParseError
from autorule.records import ModelOutput
from autorule.verification.reasoned import read_joint, read_reasoned
from autorule.verification.verifier import Verifier
from tests.conftest import make_completion, make_rule_set

TWO, THREE = ("Yes", "No"), ("Yes", "No", "N/A")


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("It is short.\nVerdict: Yes", "yes"),
        ("Verdict: Yes, one might say. But no.\n**Verdict:** No", "no"),
        ('"Yes" would be wrong here.\nNo.', "no"),
        ("Nothing is said of it.\nVerdict: N/A", "not_applicable"),
        ("verdict - yes.", "yes"),
    ],
)
def test_the_last_bounded_verdict_counts(text, label):
    assert read_reasoned(ModelOutput(text=text), THREE) == label


@pytest.mark.parametrize(
    "text", ["", "Yes and no.", "Verdict: Yesterday", "Verdict: Nope", "Verdict: maybe", "I know."]
)
def test_no_verdict_is_made_out_of_parts_of_words(text):
    with pytest.raises(ParseError):
        read_reasoned(ModelOutput(text=text), THREE)


def test_a_verdict_that_was_no_choice_is_none():
    with pytest.raises(ParseError, match="none of Yes, No"):
        read_reasoned(ModelOutput(text="Verdict: N/A"), TWO)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"verdicts": {"1": "Yes", "2": "No"}}', {0: "yes", 1: "no"}),
        ('Sure:\n```json\n{"1": "yes", "2": "NO"}\n```', {0: "yes", 1: "no"}),
        ('["Yes", "No"]', {0: "yes", 1: "no"}),
        ('{"verdicts": {"1": "Yes", "2": "perhaps", "3": "No"}}', {0: "yes"}),
    ],
)
def test_a_joint_answer_is_read_tolerantly_and_nothing_is_added(text, told):
    assert read_joint(ModelOutput(text=text), 2, TWO) == told


@pytest.mark.parametrize(
    "text",
    [
        "It looks kind. Verdict: yes\nBut wait, looking again I see that it",
        "It looks kind.\nVerdict: No",  # wait
        "It looks kind.\nVerdict: Yes, but",
        "Yes\n\nOr rather",
    ],
)
@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_a_written_verdict_before_a_cut_is_none(text, reason):
    with pytest.raises(ParseError, match="cut off"):
        read_reasoned(ModelOutput(text=text, finish_reason=reason), THREE)
    assert read_reasoned(ModelOutput(text="**Verdict:** No.\n\n \n", finish_reason=reason), THREE) == "no"


TOLD = '{"verdicts": {"1": "yes", "2": "yes"}}'


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_joint_verdicts_before_a_cut_are_none(reason):
    for rest in (*(f"\nOr rather {TOLD[:n]}" for n in range(len(TOLD))), " But rule 2 is", "\n```\nSo"):
        with pytest.raises(ParseError, match="cut off"):
            read_joint(ModelOutput(text=TOLD + rest, finish_reason=reason), 2, TWO)
    blank = ModelOutput(text=f"```json\n{TOLD}\n```" + "\n" * 500, finish_reason=reason)
    assert read_joint(blank, 2, TWO) == {0: "yes", 1: "yes"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (TOLD + ' No: {"verdicts": {"1": "no", "2": "no"}}', {0: "no", 1: "no"}),
        (TOLD + ' I chose from ["Yes", "No"] for {"1": "its length"}.', {0: "yes", 1: "yes"}),
        ('{"1": "yes", "2": "yes"} so {"1": "no", "2": "yes"}', {0: "no", 1: "yes"}),
        ('{"verdicts": {"1": "yes", "01": "Yes"}}', {0: "yes"}),
        ('{"verdicts": {"1": "yes", "' + "9" * 5000 + '": "no"}}', {0: "yes"}),
        ('{"verdicts": {"1": "yes", "2": "no"}, "x": ' + "9" * 5000 + "}", {0: "yes", 1: "no"}),
    ],
)
def test_the_last_object_of_a_joint_answer_counts(text, told):
    assert read_joint(ModelOutput(text=text), 2, TWO) == told


@pytest.mark.parametrize(
    "text",
    [
        '{"verdicts": {"1": "yes", "1": "no"}}',
        '{"verdicts": {"1": "yes", "01": "no"}}',
        '{"verdicts": {"1": "yes"}, "verdicts": {"1": "no"}}',
        '{"1": "yes", " 1": "perhaps"}',
        TOLD + ' or {"verdicts": {"1": "unsure", "2": "unsure"}}',
        '["Yes"]',
        '["Yes", "No", "Yes"]',
    ],
)
def test_a_joint_answer_that_contradicts_itself_tells_nothing(text):
    with pytest.raises(ParseError):
        read_joint(ModelOutput(text=text), 2, TWO)


def test_a_cut_answer_names_the_setting_and_costs_no_other():
    text = TOLD + ' or {"verdicts"'
    _, verdicts = answered("joint", ModelOutput(text=text, finish_reason="length"), asks=1)
    assert {verdict.failure.kind for verdict in verdicts} == {"truncated"}
    assert "verification.sampling.max_tokens" in verdicts[0].failure.message


def answered(mode, *answers, **settings):
    rules = make_rule_set(
        "It should be short.", "It should rhyme.", verification=VerificationConfig(mode=mode, **settings)
    )
    backend = ScriptedBackend(list(answers))
    ((_, verdicts),) = Verifier(backend, rules).verdicts([make_completion()])
    return backend, verdicts


def test_reasoned_asks_rule_by_rule_behind_one_conversation():
    backend, verdicts = answered("reasoned", "Verdict: Yes", "Verdict: No")
    assert [v.verdict for v in verdicts] == ["yes", "no"]
    assert [v.p_yes for v in verdicts] == [None, None]
    first, second = (request.messages[-1].content for request in backend.log)
    assert first.split("Rule:")[0] == second.split("Rule:")[0]


def test_an_answer_without_a_verdict_is_asked_again_and_then_unscored():
    backend, verdicts = answered("reasoned", "Well.", "Verdict: No", "Hm.")
    assert len(backend.log) == 3
    assert [v.verdict for v in verdicts].count(None) == 1
    unscored = next(v for v in verdicts if v.verdict is None)
    assert unscored.failure.kind == "parse"


def test_joint_asks_once_with_a_schema_and_what_it_leaves_out_is_unscored():
    backend, verdicts = answered("joint", json.dumps({"verdicts": {"1": "No"}}))
    (request,) = backend.log
    assert "1. It should be short.\n2. It should rhyme." in request.messages[-1].content
    assert request.json_schema["properties"]["verdicts"]["required"] == ["1", "2"]
    assert [v.verdict for v in verdicts] == ["no", None]
    assert "no verdict on rule 2" in verdicts[1].failure.message
