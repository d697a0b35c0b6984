"""What the values of a winner column mean: never two things at once."""

import pytest

from autorule.errors import ConfigError
from autorule.preferences.fields import FieldMap
from autorule.preferences.readers import Row

TWO = {"prompt": "Which fruit?", "response_a": "A pear.", "response_b": "Stone."}


@pytest.mark.parametrize(
    "values",
    [
        {"a": "1", "b": "1"},
        {"a": "x", "b": "X"},
        {"a": "x", "b": " x "},
        {"a": "1", "b": "1.0"},
        {"a": "0", "b": "1", "tie": "1"},
        {"a": "STRASSE", "b": "straße"},
    ],
)
def test_a_value_that_is_given_for_two_sides_is_an_error(values):
    with pytest.raises(ConfigError, match=r"is given for (a|b) and for (b|tie); give each its own value"):
        FieldMap({}, values)


@pytest.mark.parametrize("value", ["1", " 1", 1, 1.0, "1.0", "1.00"])
def test_a_whole_number_is_one_value_however_a_table_writes_it(value):
    row = Row(1, {**TWO, "winner": value})
    assert FieldMap({}, {"a": " 1 ", "b": "0"}).read_pair(row).chosen[0].content == "A pear."


def test_other_numbers_stay_apart():
    fields = FieldMap({}, {"a": "1", "b": "10", "tie": "1.05"})
    told = [fields.read_pair(Row(1, {**TWO, "winner": value})) for value in ("1", "10", "1.05", "1.5")]
    assert [row.chosen[0].content for row in told[:2]] == ["A pear.", "Stone."]
    assert [row.reasons[0].code for row in told[2:]] == ["tie", "unknown_winner"]
