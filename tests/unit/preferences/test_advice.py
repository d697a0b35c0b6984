"""A file whose columns do not say who won is refused with what to write, never with what reads it the wrong way."""

import pytest

from autorule.errors import InputError
from autorule.preferences.fields import FieldMap
from autorule.preferences.readers import Row
from tests.unit.preferences.test_layouts import PKU, hh, two

ADVISED = [
    (PKU, "--columns winner=better_response_id --winner-values a=0,b=1"),
    ({name: value for name, value in PKU.items() if name != "better_response_id"}, "winner=safer_response_id"),
    ({"prompt": hh(""), "answers": [{"answer": "A pear.", "rank": 1}], "turns": 1}, "write a row for each pair"),
    ({"instruction": "Which fruit?", "completions": [], "models": []}, "write a row for each pair"),
    ({"prompt": "Which fruit?", "response": "A pear.", "helpfulness": 4}, "write a row for each pair"),
    ({"post": "Which fruit?", "good": "A pear."}, "--columns chosen=NAME,rejected=NAME,prompt=NAME"),
    (
        {"post": "Which fruit?", "good": "A pear."},
        "--columns response_a=NAME,response_b=NAME,winner=NAME,prompt=NAME --winner-values a=VALUE,b=VALUE",
    ),
    (
        two("reply_1", "reply_2", "question", choice=1),
        "--columns response_a=reply_1,response_b=reply_2,winner=choice,prompt=question --winner-values a=VALUE,b=VALUE",
    ),
    (
        {"model_0": "x", "model_1": "y", **two("answer_0", "answer_1", "prompt")},
        "--columns response_a=answer_0,response_b=answer_1,winner=NAME,prompt=prompt --winner-values",
    ),
    (two("textA", "textB", "input", verdict="A"), "response_a=textA,response_b=textB,winner=verdict,prompt=input"),
    (
        {
            "instruction": "Which fruit?",
            "chosen_response": "A pear.",
            "rejected_response": "Stone.",
            "chosen_rating": 5,
        },
        "--columns chosen=chosen_response,rejected=rejected_response,prompt=instruction",
    ),
    (two("accepted", "rejected", "input"), "--columns chosen=accepted,rejected=rejected,prompt=input"),
    ({"prompt": "Which fruit?", "completion": "A pear.", "label": True}, "each row holds one completion"),
    ({"info": {"post": "x"}, "summaries": [], "choice": 0}, "response_a, response_b and winner (a, b or tie)"),
    ({"instruction": "x", "input": "", "candidates": []}, "write a row for each pair"),
]


@pytest.mark.parametrize(("values", "advice"), ADVISED)
def test_a_layout_that_does_not_say_who_won_is_refused_with_the_way_to_say_it(values, advice):
    with pytest.raises(InputError) as caught:
        FieldMap().check_layout("file", Row(1, values))
    assert advice in str(caught.value) and "\n" not in str(caught.value)
