"""Public layouts: read as what they mean, or rejected with the reason; never a tie as a win."""

import json

import pytest

from autorule.commands.settings import mapping
from autorule.errors import ConfigError
from autorule.preferences.fields import FieldMap
from autorule.preferences.readers import Row
from autorule.records import PreferencePair, RejectedRow

FRUIT = [{"role": "user", "content": [{"type": "text", "text": "Which fruit?"}]}]


def said(text):
    return [{"role": "assistant", "content": [{"type": "text", "text": text}]}]


def arena(winner, **more):
    return {
        "winner": winner,
        "conversation_a": FRUIT + said("A pear."),
        "conversation_b": FRUIT + said("Stone."),
        **more,
    }


def arena_55k(a, b, tie, prompt='["Which fruit?"]'):
    texts = {"prompt": prompt, "response_a": '["A pear."]', "response_b": '["Stone."]'}
    return {**texts, "winner_model_a": a, "winner_model_b": b, "winner_tie": tie}


def helpsteer(preference):
    context = [{"role": "user", "content": "Which fruit?"}]
    return {"context": context, "response1": "A pear.", "response2": "Stone.", "overall_preference": preference}


SHAREGPT = {
    "conversations": [{"from": "human", "value": "Which fruit?"}],
    "chosen": {"from": "gpt", "value": "A pear."},
    "rejected": {"from": "gpt", "value": "Stone."},
}
PEAR, STONE = ("A pear.", "Stone."), ("Stone.", "A pear.")
READ = [
    (arena("model_a"), PEAR),
    (arena("model_b"), STONE),
    (arena_55k(1, 0, 0), PEAR),
    (arena_55k("0", "1", "0"), STONE),
    (arena_55k(True, False, False), PEAR),
    (helpsteer(-3), PEAR),
    (helpsteer("2"), STONE),
    (SHAREGPT, PEAR),
    ({"prompt": "Which fruit?", "chosen": ["A pear."], "rejected": ["Stone."]}, PEAR),
    ({"prompt": FRUIT[0], "chosen": said("A pear.")[0], "rejected": said("Stone.")[0]}, PEAR),
]
REJECTED = [
    (arena("tie"), "tie"),
    (arena("tie (bothbad)"), "tie"),
    (arena("model_c"), "unknown_winner"),
    (arena_55k(0, 0, 1), "tie"),
    (arena_55k(1, 1, 0), "unknown_winner"),
    (arena_55k(0, 0, 0), "unknown_winner"),
    (arena_55k("x", 0, 0), "unknown_winner"),
    (arena_55k(1, 0, 0, '["One?", "Two?"]'), "several_turns"),
    (arena_55k(1, 0, 0, "Which fruit?"), "wrong_type"),
    (helpsteer(0), "tie"),
    (helpsteer(7), "unknown_winner"),
    (helpsteer(None), "unknown_winner"),
    ({"prompt": "Which fruit?", "chosen": ["A pear."], "rejected": ["Stone.", "Cup."]}, "several_texts"),
]
MAPPINGS = [
    {},
    {"response_a": "conversation_a", "response_b": "conversation_b"},
    {"winner": "winner_model_a"},
    {"prompt": "context", "response_a": "response1", "response_b": "response2", "winner": "overall_preference"},
]


def read(values, columns=()):
    columns = {ours: theirs for ours, theirs in dict(columns).items() if theirs in values}
    return FieldMap(columns).read_pair(Row(1, values))


@pytest.mark.parametrize("columns", MAPPINGS)
@pytest.mark.parametrize(("values", "texts"), READ)
def test_a_public_layout_is_read(values, texts, columns):
    pair = read(values, columns)
    assert isinstance(pair, PreferencePair), pair
    assert [message.content for message in pair.prompt] == ["Which fruit?"]
    assert (pair.chosen[-1].content, pair.rejected[-1].content) == texts
    assert len(pair.chosen) == len(pair.rejected) == 1


@pytest.mark.parametrize("columns", MAPPINGS)
@pytest.mark.parametrize(("values", "code"), REJECTED)
def test_what_is_no_pair_is_rejected_with_the_reason(values, code, columns):
    row = read(values, columns)
    assert isinstance(row, RejectedRow) and code in [reason.code for reason in row.reasons], row


def test_a_layout_is_known_by_its_first_row():
    FieldMap().check_layout("file", Row(1, arena("tie")))
    FieldMap().check_layout("file", Row(1, arena_55k("x", "y", "z")))


@pytest.mark.parametrize("text", ["a=1,a=2", "a=-3,b=1,a=-2"])
def test_a_name_that_is_mapped_twice_is_an_error(text):
    with pytest.raises(ConfigError, match="gives a twice"):
        mapping(text, "--winner-values")


@pytest.mark.parametrize(
    ("content", "unshown"),
    [
        ([{"type": "image_url", "image_url": {"url": "x"}}], "a block of type image_url"),
        ([{"type": "text", "text": "A"}, {"type": "audio"}], "a block of type audio"),
        (None, "no content (null)"),
        ([], "no content (null)"),
    ],
)
def test_what_is_no_text_makes_no_pair(content, unshown):
    chosen = [{"role": "assistant", "content": content}]
    row = read({"prompt": "p", "chosen": json.loads(json.dumps(chosen)), "rejected": "Stone."})
    assert isinstance(row, RejectedRow) and any(unshown in reason.message for reason in row.reasons)
