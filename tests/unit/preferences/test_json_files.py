"""JSON and JSONL: whatever a row holds costs that row at most, and no more memory than a row."""

import gzip
import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autorule.errors import InputError
from autorule.preferences import json_rows, json_values
from autorule.preferences.fields import FieldMap
from autorule.preferences.json_values import JsonText
from autorule.preferences.readers import BadRow, Row, read_rows
from autorule.preferences.reading import read_pairs
from autorule.records import PreferencePair, RejectedRow

GOOD = json.dumps({"prompt": "Which fruit?", "chosen": "A pear.", "rejected": "Stone."})


def holding(value):
    return GOOD.replace('"A pear."', value)


def deep(n):
    return "[" * n + "]" * n


BAD = {
    "a number of thousands of digits": (holding("9" * 5000), "not_json"),
    "deep": (holding(deep(60_000)), "not_json"),
    "deeper than can be shown": (holding(deep(600)), "not_json"),
    "infinity": (GOOD[:-1] + ', "score_chosen": Infinity, "score_rejected": 1}', "bad_score"),
    "beyond all floats": (GOOD[:-1] + ', "score_chosen": 1e999, "score_rejected": 1}', "bad_score"),
    "an integer beyond floats": (GOOD[:-1] + f', "score_chosen": {"9" * 400}, "score_rejected": 1}}', "bad_score"),
    "NaN as a text": (holding("NaN"), "wrong_type"),
    "half of a surrogate pair": (holding(r'"\ud800"'), "not_unicode"),
    "a key twice": (GOOD[:-1] + ', "chosen": "Stone."}', "repeated_key"),
    "a key twice further in": (GOOD[:-1] + ', "meta": {"a": 1, "a": 2}}', "repeated_key"),
    "no JSON": (holding("pear"), "not_json"),
    "no object": ("[1, 2]", "not_an_object"),
    "an unknown block with half a surrogate pair": (
        holding(r'[{"role": "assistant", "content": [{"type": "\ud800"}]}]'), "not_text",
    ),
    "an unknown role with half a surrogate pair": (holding(r'[{"role": "\ud800", "content": "x"}]'), "unknown_role"),
    "a deep message list as text": (holding(json.dumps(f'[{{"role": "assistant", "x": {deep(2000)}}}]')), "not_json"),
    "a huge number in a message list": (holding(json.dumps(f'[{{"role": "user", "x": {"9" * 5000}}}]')), "not_json"),
    "a message with a key twice": (
        holding(json.dumps('[{"role": "assistant", "content": "a", "content": "b"}]')), "repeated_key",
    ),
}  # fmt: skip


def write(tmp_path, name, rows):
    path = tmp_path / name
    text = "[" + ",\n".join(rows) + "]" if ".json" in path.suffixes else "\n".join(rows) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.json.gz"])
@pytest.mark.parametrize("bad", BAD)
def test_a_bad_row_is_its_own(tmp_path, name, bad):
    text, code = BAD[bad]
    first, row, last = read_pairs(write(tmp_path, name, [GOOD, text, GOOD]), FieldMap())
    assert isinstance(first, PreferencePair) and isinstance(last, PreferencePair) and last.row == 3
    assert isinstance(row, RejectedRow) and (row.row, row.reasons[0].code) == (2, code)
    assert row.model_dump_json() and len(row.reasons[0].message) < 400


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_bytes_that_are_no_utf8_cost_their_row_and_the_reason_says_how_to_save_them(tmp_path, name):
    path = write(tmp_path, name, [GOOD, GOOD.replace("pear", "café"), GOOD])
    path.write_bytes(path.read_bytes().replace("café".encode(), b"caf\xe9"))
    first, row, last = read_rows(path)
    assert isinstance(first, Row) and isinstance(last, Row)
    assert row.reason.code == "not_utf8"
    assert "byte 0xe9" in row.reason.message and "Windows-1252" in row.reason.message
    assert "iconv -f CP1252 -t UTF-8" in row.reason.message


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.jsonl.gz"])
def test_a_row_beyond_the_bound_is_set_aside(tmp_path, name, monkeypatch):
    monkeypatch.setattr(json_rows, "MAX_ROW_BYTES", 1000)
    monkeypatch.setattr(json_values, "MAX_ROW_BYTES", 1000)
    rows = list(read_rows(write(tmp_path, name, [GOOD, holding(json.dumps("x" * 5000)), GOOD])))
    assert [type(row) for row in rows] == [Row, BadRow, Row]
    assert rows[1].reason.code == "too_long" and rows[2].number == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [("a.json", deep(2_000_000)), ("a.json", "[" * 4_000_000), ("a.json", json.dumps("x" * 4_000_000))],
)
def test_memory_is_that_of_a_row_however_deep_or_long_a_value_is(tmp_path, name, value, monkeypatch):
    monkeypatch.setattr(json_values, "MAX_ROW_BYTES", 2**20)
    path = write(tmp_path, name, [GOOD, holding(value)])
    tracemalloc.start()
    try:
        list(read_rows(path))
    except InputError as error:
        assert "breaks off in row 2" in str(error)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * 2**20


def test_a_line_that_unpacks_to_a_thousand_times_its_size_is_never_held(tmp_path, monkeypatch):
    monkeypatch.setattr(json_rows, "MAX_ROW_BYTES", 2**20)
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(GOOD.encode() + b"\n" + b" " * 30_000_000 + b"\n" + GOOD.encode()))
    tracemalloc.start()
    rows = list(read_rows(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [type(row) for row in rows] == [Row, BadRow, Row] and rows[1].number == 2
    assert peak < 8 * 2**20


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"[{GOOD}, {GOOD[:20]}", "breaks off in row 2"),
        (f"[{GOOD}", "breaks off in row 1"),
        (f"[{GOOD} {GOOD}]", "after row 1: expected a comma or ], found '{'"),
        (f"[{GOOD}, ]", "after row 2: expected a row, found ']'"),
        (f"[{GOOD}] [1]", "after row 1: expected the end of the file, found '['"),
        (f"{GOOD}\n{GOOD}\n", "one object a line as a .jsonl file"),
        ('{"rows": []}', "without a list under 'data'; it has rows"),
        ('{"data": {"prompt": {"0": "p"}}}', "'data' must be one list of rows"),
        ('{"data": [1], "data": [2]}', "'data' must be one list of rows"),
        ('{"data" [1]}', "expected a colon"),
        ("3", "expected a list, found '3'"),
        ("[]", "holds no rows"),
        (" \n", "holds no rows"),
    ],
)
def test_what_is_no_list_of_rows_is_one_error(tmp_path, text, message):
    path = tmp_path / "a.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        list(read_rows(path))
    assert message in str(caught.value) and "a.json" in str(caught.value) and "\n" not in str(caught.value)


def test_the_list_under_data_is_found_among_other_values(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(f'{{"a": {deep(5000)}, "b\\"": "]}}", "data": [{GOOD}, {GOOD}], "c": null}}', encoding="utf-8")
    assert [row.number for row in read_rows(path)] == [1, 2]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.sampled_from('ab"\\[]{},: \n\té')),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(st.dictionaries(st.text(max_size=4), JSON, max_size=4), min_size=1, max_size=5), st.integers(1, 9))
def test_rows_are_those_that_python_reads_wherever_chunks_end(tmp_path_factory, rows, chunk):
    path = tmp_path_factory.mktemp("json") / "a.json"
    path.write_text(json.dumps(rows, indent=chunk % 3, ensure_ascii=bool(chunk % 2)), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_values, "CHUNK", chunk)
        assert [row.values for row in read_rows(path)] == rows


@given(st.binary(max_size=200))
def test_no_bytes_end_a_scan_with_another_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("json") / "a.json"
    path.write_bytes(b'[{"a": 1},' + content)
    try:
        assert all(isinstance(row, (Row, BadRow)) for row in read_rows(path))
    except InputError as error:
        assert "a.json" in str(error)


def test_a_text_is_read_through_once(tmp_path):
    """Each byte of a file is asked for once: no row makes another be read again."""
    path = write(tmp_path, "a.json", [GOOD] * 3000)
    n_read = 0
    with path.open("rb") as file:

        class Counting:
            def read(self, n):
                nonlocal n_read
                part = file.read(n)
                n_read += len(part)
                return part

        text = JsonText(Counting(), b"")
        text.take()
        while text.peek() not in (b"]", b""):
            text.value()
            if text.peek() == b",":
                text.take()
    assert n_read == path.stat().st_size
