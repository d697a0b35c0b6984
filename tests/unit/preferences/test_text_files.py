"""Files in other encodings, damaged and packed ones: one clear line, or a row's own fault."""

import gzip
import json

import pytest

from autorule.errors import InputError
from autorule.preferences import csv_rows
from autorule.preferences.fields import FieldMap
from autorule.preferences.readers import BadRow, Row, read_rows
from autorule.preferences.reading import read_pairs
from autorule.records import PreferencePair, RejectedRow

ROW = {"prompt": "Which fruit?", "chosen": "A pear.", "rejected": "Stone."}
TEXTS = {
    "a.jsonl": json.dumps(ROW) + "\n" + json.dumps(ROW) + "\n",
    "a.json": json.dumps([ROW, ROW]),
    "a.csv": "prompt,chosen,rejected\nWhich fruit?,A pear.,Stone.\n",
}


def fault(path):
    with pytest.raises(InputError) as caught:
        list(read_pairs(path, FieldMap()))
    assert path.name in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize(
    ("encoding", "called"),
    [
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16LE"),
        ("utf-16-be", "UTF-16BE"),
        ("utf-32", "UTF-32"),
        ("utf-32-le", "UTF-32LE"),
        ("utf-32-be", "UTF-32BE"),
    ],
)
def test_a_file_in_wide_characters_is_one_error_with_the_fix(tmp_path, name, encoding, called):
    path = tmp_path / name
    path.write_bytes(TEXTS[name].encode(encoding))
    assert f"seems to be {called}, not UTF-8; save it as UTF-8: iconv -f {called} -t UTF-8" in fault(path)
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert f"gunzip -c {packed} | iconv -f {called}" in fault(packed)


@pytest.mark.parametrize("name", TEXTS)
def test_a_mark_of_utf8_is_no_fault(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(TEXTS[name].encode("utf-8-sig"))
    assert isinstance(next(read_pairs(path, FieldMap())), PreferencePair)


def test_a_first_row_that_looks_like_a_mark_costs_only_itself(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\xff\xfe\n" + TEXTS["a.jsonl"].encode())
    assert [type(row) for row in read_rows(path)] == [BadRow, Row, Row]


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1"])
def test_a_header_in_another_encoding_is_one_error(tmp_path, encoding):
    path = tmp_path / "a.csv"
    path.write_bytes("prompt,chosen,rejected,préféré\np,c,r,x\n".encode(encoding))
    assert "its header is not UTF-8 text (byte 0xe9" in fault(path)
    assert "iconv -f CP1252 -t UTF-8" in fault(path)


def test_an_encoding_that_is_not_known_is_not_guessed(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("prompt,chosen,rejected\np,最好的水果,r\n".encode("gbk"))
    (row,) = read_pairs(path, FieldMap())
    assert "Windows" not in row.reasons[0].message and "iconv -f ITS_ENCODING" in row.reasons[0].message


def test_a_csv_cell_in_another_encoding_costs_its_row_where_it_is_read(tmp_path):
    path = tmp_path / "a.csv"
    rows = ["prompt,chosen,rejected,note", "p,c,r,n", "p,café,r,n", "p,c,r,café"]
    path.write_bytes("\n".join(rows).encode("cp1252"))
    good, bad, unread = read_pairs(path, FieldMap())
    assert isinstance(good, PreferencePair) and isinstance(unread, PreferencePair)
    assert isinstance(bad, RejectedRow) and bad.reasons[0].code == "not_unicode"
    assert "chosen is not UTF-8 text (byte 0xe9" in bad.reasons[0].message


def test_zero_bytes_in_a_table_cost_their_row_and_in_a_header_the_file(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"prompt,chosen,rejected\np,c\0,r\np,c,r\n")
    bad, good = read_pairs(path, FieldMap())
    assert bad.reasons[0].code == "zero_bytes" and isinstance(good, PreferencePair)
    path.write_bytes(b"prompt,chosen,rej\0ected\np,c,r\n")
    assert "header holds zero bytes" in fault(path)


@pytest.mark.parametrize("row", ['p,c,"' + "x" * 3000 + '"\n', 'p,c,"' + "x\n" * 1500 + '"\n', "p,c," + "x" * 3000])
def test_a_table_with_a_line_or_field_beyond_the_bound_is_an_error_that_names_the_row(tmp_path, row, monkeypatch):
    monkeypatch.setattr(csv_rows, "MAX_ROW_BYTES", 1000)
    path = tmp_path / "a.csv"
    path.write_text("prompt,chosen,rejected\np,c,r\n" + row, encoding="utf-8")
    assert "after row 1" in fault(path)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda packed: packed[:-9], "the gzip data breaks off; copy or download the file again"),
        (lambda packed: packed + b"trailing", "what follows in the file is no gzip data; pack it anew"),
        (lambda packed: packed[:-8] + b"\0" * 8, "the gzip data is damaged"),
        (lambda packed: b"not gzip", "it is no gzip file; take .gz from its name"),
    ],
)
def test_damaged_gzip_data_is_one_error(tmp_path, name, change, message):
    path = tmp_path / f"{name}.gz"
    path.write_bytes(change(gzip.compress(TEXTS[name].encode())))
    assert message in fault(path)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize(
    ("beginning", "message"),
    [
        (b"\x1f\x8b\x08\x00", "holds gzip data: add .gz to its name"),
        (b"PAR1\x15\x04", "holds Parquet data: name it .parquet"),
        (b"PK\x03\x04\x14", "a zip archive or a spreadsheet"),
        (b"\x28\xb5\x2f\xfd\x24", "zstd"),
    ],
)
def test_a_file_under_another_name_says_what_it_is(tmp_path, name, beginning, message):
    path = tmp_path / name
    path.write_bytes(beginning + b"\xff" * 50)
    assert message in fault(path)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_characters_are_known_where_the_first_one_is_no_ascii(tmp_path, encoding):
    path = tmp_path / "a.csv"
    path.write_bytes("提示,chosen,rejected\n最好的水果,一,二\n".encode(encoding))
    called = encoding.upper().replace("-LE", "LE").replace("-BE", "BE")
    assert f"seems to be {called}, not UTF-8; save it as UTF-8: iconv -f {called}" in fault(path)


def test_two_letters_beyond_ascii_in_a_row_are_windows_too(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("prompt,chosen,rejected,größe\np,c,r,x\n".encode("cp1252"))
    assert "it looks like Windows-1252" in fault(path)
    path.write_bytes("prompt,chosen,rejected\np,Größer für Schöß,r\n".encode("cp1252"))
    (row,) = read_pairs(path, FieldMap())
    assert "iconv -f CP1252 -t UTF-8" in row.reasons[0].message


@pytest.mark.parametrize(
    ("text", "encoding", "tried"), [("日本語の回答です", "shift_jis", "SHIFT_JIS"), ("最好的水果", "gbk", "GBK")]
)
def test_other_encodings_are_named_to_be_tried(tmp_path, text, encoding, tried):
    path = tmp_path / "a.jsonl"
    path.write_bytes(json.dumps({**ROW, "chosen": text}, ensure_ascii=False).encode(encoding))
    (row,) = read_rows(path)
    assert f"for ITS_ENCODING try {tried}" in row.reason.message and "Windows" not in row.reason.message


def test_an_encoding_that_nothing_shows_is_told_as_unknown(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("prompt,chosen,rejected\np,a,b\n".encode("cp500"))
    assert "which encoding it is in is not known" in fault(path)


@pytest.mark.parametrize("before", ["\n", "\r\n", "\n\n", " \n", "\ufeff\n"])
def test_empty_lines_before_the_header_of_a_table_are_passed_over(tmp_path, before):
    path = tmp_path / "a.csv"
    path.write_bytes((before + TEXTS["a.csv"]).encode())
    (row,) = read_pairs(path, FieldMap())
    assert isinstance(row, PreferencePair) and row.row == 1


def test_spaces_about_the_names_in_a_header_are_no_part_of_them(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("prompt, chosen , rejected\np,c,r\n", encoding="utf-8")
    assert isinstance(next(read_pairs(path, FieldMap())), PreferencePair)
    path.write_text("prompt,chosen, chosen,rejected\np,c,c,r\n", encoding="utf-8")
    assert "several columns 'chosen'" in fault(path)
