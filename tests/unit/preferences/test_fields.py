import csv
import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autorule.errors import ConfigError, InputError
from autorule.preferences.fields import FieldMap
from autorule.preferences.messages import parse_transcript
from autorule.preferences.reading import read_pairs
from autorule.records import PreferencePair, RejectedRow
from tests.conftest import make_pair

GOOD = {"prompt": "Name a fruit.", "chosen": "Pear.", "rejected": "No."}
BAD = {"prompt": "Name a fruit.", "chosen": 7, "rejected": "No."}


def write(path, rows):
    match path.suffixes[0]:
        case ".jsonl":
            text = "".join(json.dumps(row) + "\n" for row in rows)
        case ".json":
            text = json.dumps(rows)
        case ".parquet":
            pq.write_table(pa.Table.from_pylist(rows), path)
            return path
        case ".csv":
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, fieldnames=list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
            return path
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def read(path, **field_map):
    return list(read_pairs(path, FieldMap(**field_map)))


def codes(row):
    return [reason.code for reason in row.reasons]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.jsonl.gz", "a.json.gz"])
def test_text_formats_read_alike_and_a_bad_row_is_set_aside(tmp_path, name):
    good, bad, last = read(write(tmp_path / name, [GOOD, BAD, GOOD]))
    assert isinstance(good, PreferencePair)
    assert good.chosen[0].content == "Pear."
    assert isinstance(bad, RejectedRow)
    assert (bad.row, codes(bad)) == (2, ["wrong_type"])
    assert "int 7" in bad.reasons[0].message
    assert last.row == 3


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_table_formats_read_alike_and_a_bad_row_is_set_aside(tmp_path, name):
    good, bad = read(write(tmp_path / name, [GOOD, {**GOOD, "rejected": ""}]))
    assert isinstance(good, PreferencePair)
    assert (bad.row, codes(bad)) == (2, ["empty_rejected"])


def test_a_json_file_may_hold_its_rows_under_data(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"data": [GOOD]}), encoding="utf-8")
    assert isinstance(read(path)[0], PreferencePair)


def test_broken_lines_cost_only_themselves(tmp_path):
    path = tmp_path / "a.jsonl"
    good = json.dumps(GOOD).encode()
    path.write_bytes(b"\n".join([good, b'{"prompt": "cut', b"\xff\xfe", b"[1]", b"", good]) + b"\n")
    rows = read(path)
    assert [row.row for row in rows] == [1, 2, 3, 4, 6]
    assert [codes(row) for row in rows[1:4]] == [["not_json"], ["not_utf8"], ["not_an_object"]]


def test_a_csv_row_with_too_many_fields_is_set_aside(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("prompt,chosen,rejected\np,c,r\np,c\np,c,r,x\n", encoding="utf-8")
    rows = read(path)
    assert [isinstance(row, RejectedRow) for row in rows] == [False, True, True]
    assert "2 fields where the header has 3" in rows[1].reasons[0].message


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.jsonl", None, "does not exist"),
        ("empty.jsonl", b"", "is empty"),
        ("blank.jsonl", b"\n\n", "holds no rows"),
        ("a.txt", b"x", "unknown format"),
        ("a.json", b"{not json", "not valid JSON"),
        ("a.parquet", b"not parquet", "no readable Parquet"),
        ("a.jsonl.gz", b"not gzip", "can't be read"),
        ("a.jsonl", b'{"question": 1}\n', "has neither chosen/rejected nor"),
    ],
)
def test_an_unusable_file_is_one_clear_error(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert name in str(caught.value)


def test_a_csv_cell_that_is_not_utf8_costs_only_its_row(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"prompt,chosen,rejected\np,c,r\np,caf\xe9,r\n")
    good, bad = read(path)
    assert isinstance(good, PreferencePair)
    assert codes(bad) == ["not_unicode"]


def test_a_number_beyond_all_measure_and_an_id_that_is_no_unicode_cost_nothing_else(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": ' + "9" * 5000 + "}\n" + json.dumps({**GOOD, "id": "\ud83d"}) + "\n", encoding="utf-8")
    bad, good = read(path)
    assert codes(bad) == ["not_json"]
    assert good.source_id == "\\ud83d"
    assert good.model_dump_json()


def test_winner_columns_give_the_label_and_the_order_shown(tmp_path):
    rows = [
        {"prompt": "p", "response_a": "x", "response_b": "y", "winner": winner, "reasoning": "because"}
        for winner in ("a", "model_b", "tie", "both_bad", "3")
    ]
    first, second, tie, bad, unknown = read(write(tmp_path / "a.jsonl", rows))
    assert (first.chosen[0].content, first.given_order) == ("x", "chosen_first")
    assert (second.chosen[0].content, second.given_order) == ("y", "rejected_first")
    assert first.pair_id == second.pair_id, "the label is no part of the pair id"
    assert codes(tie) == codes(bad) == ["tie"]
    assert codes(unknown) == ["unknown_winner"]
    assert "'3'" in unknown.reasons[0].message


def test_a_table_with_other_separators_is_told_apart_from_one_without_the_columns(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("prompt;chosen;rejected\np;x;y\n", encoding="utf-8")
    with pytest.raises(InputError, match="parted by ';'; save it with commas"):
        read(path)


def test_columns_and_winner_values_are_mapped(tmp_path):
    rows = [{"q": "p", "r0": "x", "r1": "y", "best": 1}, {"q": "p", "r0": "x", "r1": "y", "best": 2}]
    columns = {"prompt": "q", "response_a": "r0", "response_b": "r1", "winner": "best"}
    pair, unknown = read(write(tmp_path / "a.jsonl", rows), columns=columns, winner_values={"a": "0", "b": "1"})
    assert pair.chosen[0].content == "y"
    assert codes(unknown) == ["unknown_winner"]
    assert unknown.reasons[0].message == "winner is 2, expected '0' (a) or '1' (b); --winner-values maps no tie"
    with pytest.raises(InputError, match="no column 'zzz'"):
        read(tmp_path / "a.jsonl", columns={"prompt": "zzz"})
    with pytest.raises(ConfigError, match="'prompts' is no column of ours"):
        FieldMap({"prompts": "q"})


def test_every_reason_of_a_bad_row_is_given(tmp_path):
    row = {"prompt": " ", "response_a": "", "response_b": "y", "winner": "tie"}
    (rejected,) = read(write(tmp_path / "a.jsonl", [row]))
    assert sorted(codes(rejected)) == ["empty_prompt", "empty_response_a", "tie"]


def test_ultrafeedback_lists_hold_the_prompt(tmp_path):
    user = {"role": "user", "content": "Name a fruit."}
    rows = [
        {
            "prompt": "Name a fruit.",
            "chosen": [user, {"role": "assistant", "content": "Pear."}],
            "rejected": [user, {"role": "assistant", "content": "No."}],
            "score_chosen": chosen,
            "score_rejected": 5.0,
        }
        for chosen in (8.0, 5.0, 4.0)
    ]
    pair, tie, contradiction = read(write(tmp_path / "a.jsonl", rows))
    assert pair.model_copy(update={"row": 1}) == make_pair()
    assert codes(tie) == ["tie"]
    assert codes(contradiction) == ["scores_contradict"]


def test_an_implicit_prompt_is_the_shared_beginning(tmp_path):
    turns = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    row = {
        "chosen": [*turns, {"role": "assistant", "content": "x"}],
        "rejected": [*turns, {"role": "assistant", "content": "y"}],
    }
    (pair,) = read(write(tmp_path / "a.jsonl", [row]))
    assert [m.role for m in pair.prompt] == ["system", "user"]
    (rejected,) = read(write(tmp_path / "b.jsonl", [{**row, "prompt": "another"}]))
    assert codes(rejected) == ["prompts_disagree"]


def test_hh_transcripts_become_turns(tmp_path):
    shared = "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Name a fruit."
    row = {"chosen": f"{shared}\n\nAssistant: Pear.", "rejected": f"{shared}\n\nAssistant: No."}
    (pair,) = read(write(tmp_path / "a.jsonl", [row]))
    assert [(m.role, m.content) for m in pair.prompt] == [
        ("user", "Hi"),
        ("assistant", "Hello"),
        ("user", "Name a fruit."),
    ]
    assert pair.chosen[0].content == "Pear."
    assert parse_transcript("\n\nHuman: a\n\nAssistant:")[1].content == ""


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "wrong_type"),
        ([{"role": "user"}], "not_text"),
        ([{"content": "x"}], "wrong_type"),
        ([{"role": "wizard", "content": "x"}], "unknown_role"),
        ([{"role": ["assistant"], "content": "x"}], "unknown_role"),
        ([{"role": "assistant", "content": [{"type": "image"}]}], "not_text"),
        ("\ud800", "not_unicode"),
        ([], "empty_chosen"),
        ("No.", "identical_responses"),
    ],
)
def test_unusable_values_are_named(tmp_path, value, code):
    (row,) = read(write(tmp_path / "a.jsonl", [{**GOOD, "chosen": value}]))
    assert codes(row) == [code]


def test_content_in_text_blocks_is_joined(tmp_path):
    blocks = [{"type": "text", "text": "Pe"}, {"type": "text", "text": "ar."}]
    (pair,) = read(write(tmp_path / "a.jsonl", [{**GOOD, "chosen": [{"role": "assistant", "content": blocks}]}]))
    assert pair.chosen[0].content == "Pe\nar."


@pytest.mark.parametrize(("score", "codes_of_row"), [("3.0", ["tie"]), ("2", ["scores_contradict"]), ("10", [])])
def test_scores_of_a_csv_file_are_compared_like_numbers(tmp_path, score, codes_of_row):
    (row,) = read(write(tmp_path / "a.csv", [{**GOOD, "score_chosen": score, "score_rejected": "3"}]))
    assert (codes(row) if isinstance(row, RejectedRow) else []) == codes_of_row


def test_a_score_that_is_no_number_rejects_its_row_and_an_empty_one_says_nothing(tmp_path):
    rows = [{**GOOD, "score_chosen": a, "score_rejected": "3"} for a in ("high", "")]
    bad, good = read(write(tmp_path / "a.csv", rows))
    assert codes(bad) == ["bad_score"]
    assert isinstance(good, PreferencePair)


@pytest.mark.parametrize("body", ['p1,"a,b\np2,a,b\np3,a,b\n', 'p1,a,b\np2,"a" x,b\n'])
def test_a_stray_quote_in_a_csv_file_is_an_error_and_swallows_no_rows(tmp_path, body):
    path = tmp_path / "a.csv"
    path.write_text("prompt,chosen,rejected\n" + body, encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.csv is not CSV after row \d.*quote fields"):
        read(path)


def test_two_columns_of_one_name_are_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("prompt,chosen,rejected,chosen\np,a,b,c\n", encoding="utf-8")
    with pytest.raises(InputError, match="several columns 'chosen'"):
        read(path)


def test_a_message_list_as_python_prints_it_is_no_text(tmp_path):
    messages = [{"role": "assistant", "content": "Pear."}]
    (row,) = read(write(tmp_path / "a.csv", [{**GOOD, "chosen": str(messages)}]))
    assert codes(row) == ["not_json"]
    (row,) = read(write(tmp_path / "b.csv", [{**GOOD, "chosen": json.dumps(messages)}]))
    assert row.chosen[0].content == "Pear."


def test_a_json_file_may_begin_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps([GOOD]).encode())
    assert isinstance(read(path)[0], PreferencePair)


def test_a_damaged_gz_file_is_one_error(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    whole = gzip.compress(json.dumps(GOOD).encode() * 50)
    path.write_bytes(whole[:20] + b"\xff" * 20 + whole[40:])
    with pytest.raises(InputError, match=r"a\.jsonl\.gz can't be read"):
        read(path)
