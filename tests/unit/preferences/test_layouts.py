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
TEXTS = ("A pear.", "Stone.")


def two(first, second, prompt="prompt", **more):
    return {prompt: "Which fruit?", first: TEXTS[0], second: TEXTS[1], **more}


def mt_bench(turn, winner="model_a"):
    """Both turns stand in the conversation, whichever was judged."""
    more = [{"role": "user", "content": "Another."}, {"role": "assistant", "content": "Fig."}]
    return {
        **arena(winner),
        "conversation_a": FRUIT + said("A pear.") + more,
        "conversation_b": FRUIT + said("Stone.") + more,
        "turn": turn,
    }


def shp(label):
    return two("human_ref_A", "human_ref_B", "history", labels=label, score_A=3, score_B=9)


def helpsteer2(strength):
    return two("response_1", "response_2", preference_strength=strength)


def panda(*told, asked="Which fruit?", more=""):
    annotators = {f"annotator{i}": one for i, one in enumerate(told, start=1)}
    return {**two("response1", "response2", "instruction"), "instruction": asked, "input": more, **annotators}


def ultrafeedback(best=8.0, worst=5.0, names=("score_chosen", "score_rejected")):
    chosen, rejected = ([*FRUIT, *said(text)] for text in TEXTS)
    return {"prompt": "Which fruit?", "chosen": chosen, "rejected": rejected, names[0]: best, names[1]: worst}


def orca(status, **more):
    return two("chosen", "rejected", "input", system="", status=status, **more)


def hh(answer):
    return f"\n\nHuman: Which fruit?\n\nAssistant: {answer}"


def webgpt(*scores):
    row = two("answer_0", "answer_1", "question", score_0=scores[0], score_1=scores[1])
    return {**row, "question": {"full_text": "Which fruit?", "dataset": "x"}}


def unified(*ratings):
    row = {"conv_A": FRUIT + said("A pear."), "conv_B": FRUIT + said("Stone.")}
    return {**row, "conv_A_rating": ratings[0], "conv_B_rating": ratings[1]}


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
    (
        arena(
            "model_b",
            conversation_a=json.dumps(FRUIT + said("A pear.")),
            conversation_b=json.dumps(FRUIT + said("Stone.")),
        ),
        STONE,
    ),
    (mt_bench(1), PEAR),
    (helpsteer2(-1), PEAR),
    (helpsteer2("3"), STONE),
    (shp(1), PEAR),
    (shp("0"), STONE),
    (panda(1, 1, 1), PEAR),
    (panda("2", "2", "2"), STONE),
    (two("response_1", "response_2", winner="model_b"), STONE),
    (two("response_A", "response_B", "question", label="A>B"), PEAR),
    (two("response_A", "response_B", "question", label="B>A"), STONE),
    (ultrafeedback(), PEAR),
    ({name: value for name, value in ultrafeedback().items() if name != "prompt"}, PEAR),  # Skywork
    (ultrafeedback(5, 3, ("chosen-rating", "rejected-rating")), PEAR),
    ({"chosen": hh("A pear."), "rejected": hh("Stone.")}, PEAR),
    (orca("swapped"), PEAR),
    (two("chosen", "rejected", "question", system=None), PEAR),
    (two("chosen", "rejected", "instruction", input=""), PEAR),
    ({"prompt": "Which fruit?", "chosen": ["A pear."], "rejected": ["Stone."], "num_correct": 1, "id": "1"}, PEAR),
    (mt_bench(1.0), PEAR),
    (mt_bench("1"), PEAR),
    (mt_bench("1.0", "model_b"), STONE),
    (two("output_1", "output_2", "instruction", input="", preference=1), PEAR),  # AlpacaFarm
    (two("output_1", "output_2", "instruction", input="", preference="2.0"), STONE),
    (two("output_1", "output_2", "input", label=2), STONE),  # LLMBar
    (two("orig_response_A", "orig_response_B", "orig_instruction", orig_preference="B"), STONE),  # Prometheus
    (webgpt(0.5, -0.5), PEAR),
    (webgpt("-1", "1"), STONE),
    (unified(1, 0), PEAR),
    (unified(0.2, 0.7), STONE),
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
    ({"prompt": "Which fruit?", "chosen": ["A pear.", "A fig."], "rejected": ["Stone."]}, "several_texts"),
    (arena("tie (inconsistent)"), "tie"),
    (arena("both_bad"), "tie"),
    (arena("model_a", conversation_a="[{'role': 'user'}]"), "wrong_type"),
    (helpsteer("nan"), "unknown_winner"),
    (helpsteer2(0), "tie"),
    (helpsteer2(""), "unknown_winner"),
    (shp(""), "unknown_winner"),
    (shp(None), "unknown_winner"),
    (shp(2), "unknown_winner"),
    (panda(0, 0, 0), "tie"),
    (panda(1, 1, 2), "unknown_winner"),
    (panda(1, 1, 0), "unknown_winner"),
    (panda(1, 1, None), "unknown_winner"),
    (two("response_1", "response_2", winner="tie (bothbad)"), "tie"),
    (two("response_A", "response_B", "question", label="A=B"), "tie"),
    (ultrafeedback(5, 5), "tie"),
    (ultrafeedback(5, 5, ("chosen-rating", "rejected-rating")), "tie"),
    (ultrafeedback(5, 5, ("chosen_rating", "rejected_rating")), "tie"),
    (ultrafeedback(5, 5, ("rating_chosen", "rating_rejected")), "tie"),
    (ultrafeedback(4, 5, ("chosen_score", "rejected_score")), "scores_contradict"),
    (orca("tie"), "tie"),
    (two("chosen", "rejected", "question_text"), "empty_prompt"),
    (mt_bench("first"), "bad_score"),
    (mt_bench(1.5), "bad_turn"),
    (mt_bench(0), "bad_turn"),
    (mt_bench("-1"), "bad_turn"),
    (two("output_1", "output_2", "instruction", preference=0), "tie"),
    (two("output_1", "output_2", "instruction", preference=None), "unknown_winner"),
    (two("output_1", "output_2", "input", label=3), "unknown_winner"),
    (webgpt(0, 0), "tie"),
    (webgpt(None, 1), "unknown_winner"),
    (unified(1, 1.0), "tie"),
    (unified("good", 1), "bad_score"),
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


SAFER = {"winner": "safer_response_id"}
PKU = two("response_0", "response_1", better_response_id=1, safer_response_id=0)


@pytest.mark.parametrize(("values", "_"), READ)
def test_a_layout_that_is_read_passes_the_check_of_its_first_row(values, _):
    FieldMap().check_layout("file", Row(1, values))


@pytest.mark.parametrize("values", [values for values, _ in READ + REJECTED])
def test_what_a_layout_reads_is_among_the_columns_that_are_read(values):
    """Of a Parquet file no other column has a value."""
    fields = FieldMap()
    used = fields.used(list(values))
    there = {name: value if name in used else None for name, value in values.items()}
    assert fields.read_pair(Row(1, there)) == fields.read_pair(Row(1, values))


@pytest.mark.parametrize(
    ("columns", "winner_values", "texts"),
    [
        ({"winner": "better_response_id"}, {"a": "0", "b": "1"}, STONE),
        (SAFER, {"a": "0", "b": "1"}, PEAR),
        ({**SAFER, "response_a": "response_0", "response_b": "response_1"}, {"a": "0", "b": "1"}, PEAR),
        ({**SAFER, "response_a": "response_1", "response_b": "response_0"}, {"a": "1", "b": "0"}, PEAR),
    ],
)  # fmt: skip
def test_one_of_two_winners_is_named(columns, winner_values, texts):
    fields = FieldMap(columns, winner_values)
    fields.check_layout("file", Row(1, PKU))
    pair = fields.read_pair(Row(1, PKU))
    assert (pair.chosen[0].content, pair.rejected[0].content) == texts


def test_one_of_several_annotators_is_named():
    row = Row(1, panda(1, 2, 0))
    said_by = [
        FieldMap({"winner": f"annotator{i}"}, {"a": "1", "b": "2", "tie": "0"}).read_pair(row) for i in (1, 2, 3)
    ]
    assert [pair.chosen[0].content for pair in said_by[:2]] == list(TEXTS)
    assert [reason.code for reason in said_by[2].reasons] == ["tie"]


def test_values_of_the_winner_that_the_user_names_go_before_those_that_are_known():
    row = Row(1, arena("left"))
    assert FieldMap({}, {"a": "left"}).read_pair(row).chosen[0].content == "A pear."
    turned = {"response_a": "conversation_b", "response_b": "conversation_a"}
    assert FieldMap(turned, {"b": "left"}).read_pair(row).chosen[0].content == "A pear."
    assert FieldMap(turned).read_pair(Row(1, arena("model_a"))).chosen[0].content == "A pear."


def test_a_column_of_the_users_own_goes_before_that_of_the_layout():
    row = Row(1, {**helpsteer(-3), "mine": "b", "asked": "Which?"})
    pair = FieldMap({"winner": "mine", "prompt": "asked"}).read_pair(row)
    assert (pair.chosen[0].content, pair.prompt[0].content) == ("Stone.", "Which?")


def test_a_prompt_in_parts_is_put_together():
    pair = read(panda(1, 1, 1, asked="Translate.", more="Pera."))
    assert pair.prompt[0].content == "Translate.\nPera."
    pair = read(two("chosen", "rejected", "question", system="Be brief."))
    assert [(message.role, message.content) for message in pair.prompt] == [
        ("system", "Be brief."), ("user", "Which fruit?"),
    ]  # fmt: skip


def test_earlier_turns_in_a_prompt_are_messages():
    prompt = "Hi\n<extra_id_1>Assistant\nHello\n<extra_id_1>User\nWhich fruit?\n<extra_id_1>Assistant\n"
    pair = read({**helpsteer2(-1), "prompt": prompt})
    assert [(message.role, message.content) for message in pair.prompt] == [
        ("user", "Hi"), ("assistant", "Hello"), ("user", "Which fruit?"),
    ]  # fmt: skip


def test_the_second_turn_of_a_conversation_is_judged_with_the_first():
    pair = read(mt_bench(2))
    assert [message.content for message in pair.chosen] == ["A pear.", "Another.", "Fig."]


def test_a_prompt_that_is_missing_is_told_with_the_way_to_name_it():
    reason = read(two("chosen", "rejected", "question_text")).reasons[0]
    assert "no column prompt: name it with --columns prompt=NAME" in reason.message


def test_an_option_that_is_given_twice_adds_to_the_first_and_no_name_counts_twice():
    assert mapping(["a=1", "b=2,c=3"], "--columns") == {"a": "1", "b": "2", "c": "3"}
    with pytest.raises(ConfigError, match="gives a twice"):
        mapping(["a=1", "a=2"], "--columns")


@pytest.mark.parametrize(
    "value",
    [
        "[{'role': 'user', 'content': 'Which fruit?'}, {'role': 'assistant', 'content': 'A pear.'}]",
        "[{'content': 'Which fruit?', 'role': 'user'}\n {'content': 'A pear.', 'role': 'assistant'}]",
        "array([{'content': 'Which fruit?', 'role': 'user'}], dtype=object)",
    ],
)
def test_a_conversation_as_python_prints_it_is_told_as_that(value):
    row = read(arena("model_a", conversation_a=value))
    assert "as Python prints it" in row.reasons[0].message and "as JSON" in row.reasons[0].message
    row = read({**arena_55k(1, 0, 0), "response_a": "['A pear.']"})
    assert "as Python prints it" in row.reasons[0].message


def test_what_goes_with_the_instruction_is_kept_where_the_columns_are_mapped():
    row = two("output_1", "output_2", "instruction", input="Green ones.", preference=1)
    columns = {"prompt": "instruction", "response_a": "output_1", "response_b": "output_2", "winner": "preference"}
    pair = FieldMap(columns, {"a": "1", "b": "2"}).read_pair(Row(1, row))
    assert pair.prompt[0].content == "Which fruit?\nGreen ones."
