"""A file is refused for its columns only where none of its first rows has them."""

import json

import pytest

from autorule.errors import InputError
from autorule.preferences import reading
from autorule.preferences.completions import read_completions
from autorule.preferences.fields import FieldMap
from autorule.preferences.reading import read_pairs
from autorule.records import RejectedRow
from autorule.runs.input_files import together

PAIR = {"prompt": "Which fruit?", "chosen": "A pear.", "rejected": "Stone."}
COMPLETION = {"prompt": "Which fruit?", "completion": "A pear."}
OTHER = {"x": 1}


def write(path, rows):
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("[" + ",".join(lines) + "]" if path.suffix == ".json" else "\n".join(lines), encoding="utf-8")
    return path


def pairs(path, columns=None):
    return read_pairs(path, FieldMap(columns))


READERS = [
    (pairs, PAIR, "neither chosen/rejected nor"),
    (lambda p: read_completions(p, {}), COMPLETION, "nor messages"),
]


@pytest.mark.parametrize(("read", "good", "_"), READERS)
@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
@pytest.mark.parametrize("n", [1, 3])
def test_bad_first_rows_cost_only_themselves(tmp_path, read, good, _, name, n):
    rows = list(read(write(tmp_path / name, [*[OTHER] * n, good, OTHER, good])))
    assert [row.row for row in rows] == list(range(1, n + 4))
    assert [isinstance(row, RejectedRow) for row in rows] == [*[True] * n, False, True, False]


@pytest.mark.parametrize(("read", "_", "words"), READERS)
def test_a_file_without_a_row_that_has_the_columns_is_refused_before_any_row_is_out(tmp_path, read, _, words):
    rows = read(write(tmp_path / "a.jsonl", [OTHER, "no JSON", {"y": 2}]))
    with pytest.raises(InputError, match=words) as caught:
        next(rows)
    assert "it has x" in str(caught.value)


@pytest.mark.parametrize(("read", "good", "words"), READERS)
def test_they_are_not_looked_for_to_the_end_of_a_long_file(tmp_path, read, good, words, monkeypatch):
    monkeypatch.setattr(reading, "MOST_WITHOUT_COLUMNS", 5)
    assert len(list(read(write(tmp_path / "a.jsonl", [*[OTHER] * 4, good])))) == 5
    with pytest.raises(InputError, match=words):
        next(read(write(tmp_path / "a.jsonl", [*[OTHER] * 5, good])))


def test_a_mapped_column_may_come_in_a_later_row(tmp_path):
    rows = list(pairs(write(tmp_path / "a.jsonl", [PAIR, {**PAIR, "mine": "x"}, PAIR]), {"id": "mine"}))
    assert [row.source_id for row in rows] == [None, "x", None]


def test_a_table_shows_its_columns_in_the_first_row(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("x\n1\n", encoding="utf-8")
    with pytest.raises(InputError, match="it has x"):
        next(pairs(path))


def test_each_file_is_looked_at_by_itself(tmp_path):
    good = write(tmp_path / "good.jsonl", [OTHER, PAIR])
    with pytest.raises(InputError, match=r"none\.jsonl has neither"):
        list(pairs(together([good, write(tmp_path / "none.jsonl", [OTHER])])))


def test_rows_that_can_not_be_read_at_all_say_nothing_of_columns(tmp_path):
    assert len(list(pairs(write(tmp_path / "a.jsonl", ["no", "JSON"])))) == 2
