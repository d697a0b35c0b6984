"""Rows with a chosen and a rejected response whose other columns say that neither was preferred."""

import pytest

from autorule.preferences.fields import FieldMap
from autorule.preferences.readers import Row
from autorule.preferences.scores import score_columns
from autorule.records import PreferencePair, RejectedRow

PAIR = {"prompt": "Which fruit?", "chosen": "A pear.", "rejected": "Stone."}


def read(more, **options):
    fields = FieldMap(**options)
    used = fields.used(list({**PAIR, **more}))
    return fields.read_pair(Row(1, {name: value for name, value in {**PAIR, **more}.items() if name in used}))


def codes(row):
    return [reason.code for reason in row.reasons] if isinstance(row, RejectedRow) else []


SPELT = [
    ("chosen_avg_rating", "rejected_avg_rating"),
    ("chosen_reward", "rejected_reward"),
    ("reward_chosen", "reward_rejected"),
    ("avg_score_chosen", "avg_score_rejected"),
    ("chosen.overall.score", "rejected.overall.score"),
    ("chosenScore", "rejectedScore"),
    ("Chosen Rating", "Rejected Rating"),
    ("chosen_rm_score", "rejected_rm_score"),
]


@pytest.mark.parametrize("names", SPELT)
@pytest.mark.parametrize("values", [(4.0, 4), ("4", "4.0"), (0, 0)])
def test_equal_scores_are_a_tie_however_the_columns_are_called(names, values):
    assert codes(read(dict(zip(names, values, strict=True)))) == ["tie"]


@pytest.mark.parametrize("names", SPELT)
def test_so_are_scores_against_the_chosen_response_no_reason_to_prefer_it(names):
    assert codes(read(dict(zip(names, (1, 2), strict=True)))) == ["scores_contradict"]
    assert isinstance(read(dict(zip(names, (2, 1), strict=True))), PreferencePair)
    assert isinstance(read(dict(zip(names, (None, ""), strict=True))), PreferencePair)


def test_an_aspect_that_is_equal_is_no_tie_unless_all_are():
    aspects = {"chosen_honesty_score": 3, "rejected_honesty_score": 3, "chosen_help_score": 3, "rejected_help_score": 1}
    assert isinstance(read(aspects), PreferencePair)
    assert codes(read({**aspects, "rejected_help_score": 3})) == ["tie"]
    assert codes(read({**aspects, "chosen_avg_rating": 2, "rejected_avg_rating": 2})) == ["tie"]


def test_equal_ranks_are_a_tie_and_others_say_nothing_of_which_is_better():
    assert codes(read({"rank_chosen": 1, "rank_rejected": 1})) == ["tie"]
    assert isinstance(read({"rank_chosen": 1, "rank_rejected": 2}), PreferencePair)
    assert isinstance(read({"rank_chosen": 2, "rank_rejected": 1}), PreferencePair)


def test_columns_that_are_no_scores_are_left_alone():
    names = ["chosen", "rejected", "chosen_model", "rejected_model", "chosen_score_reason", "score", "chosen_logps"]
    assert score_columns(names) == []
    assert isinstance(read({"chosen_quality_grade": "A", "rejected_quality_grade": "A"}), PreferencePair)


def test_scores_that_the_user_names_go_before_all_others():
    mapped = {"columns": {"score_chosen": "x", "score_rejected": "y"}}
    assert codes(read({"x": 1, "y": 1, "chosen_score": 2, "rejected_score": 1}, **mapped)) == ["tie"]
    assert isinstance(read({"x": 2, "y": 1, "chosen_score": 1, "rejected_score": 1}, **mapped), PreferencePair)


@pytest.mark.parametrize(
    "more",
    [
        {"winner": "tie"},
        {"winner": "Tie (bothbad)"},
        {"status": "tie"},
        {"label": " TIE "},
        {"is_tie": True},
        {"tie": "1"},
        {"margin": 0},
        {"margin": "0.0"},
        {"preference_strength": 0.0},
    ],
)
def test_a_column_that_tells_a_tie_is_believed(more):
    assert codes(read(more)) == ["tie"]
    assert read(more, keep_ties=True).tie


@pytest.mark.parametrize(
    "more",
    [{"winner": "a"}, {"winner": None}, {"status": "swapped"}, {"is_tie": False}, {"tie": 0}, {"margin": None},
     {"margin": 0.5}, {"margin": "wide"}, {"label": 1}],
)  # fmt: skip
def test_others_are_not(more):
    assert isinstance(read(more), PreferencePair)


def test_a_tie_in_the_words_of_the_user():
    options = {"columns": {"winner": "better"}, "winner_values": {"a": "1", "b": "2", "tie": "0"}}
    assert codes(read({"better": 0}, **options)) == ["tie"]
    assert isinstance(read({"better": 1}, **options), PreferencePair)
