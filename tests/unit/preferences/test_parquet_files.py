"""Parquet: columns that nobody reads can't fail, and a value that can't be read costs its row."""

import datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autorule.audit.training_log import read_log
from autorule.errors import InputError
from autorule.preferences.completions import read_completions
from autorule.preferences.fields import FieldMap
from autorule.preferences.readers import read_rows
from autorule.preferences.reading import read_pairs
from autorule.records import Completion, PreferencePair, RejectedRow
from autorule.verification.labels.rows import read_label_rows

N = 3
TEXTS = {"prompt": ["Which fruit?"] * N, "chosen": ["A pear."] * N, "rejected": ["Stone."] * N}
ODD = {
    "an unknown zone": pa.array([1] * N, pa.timestamp("ms", "Mars/Olympus")),
    "a date after the last": pa.array([2**30] * N, pa.date32()),
    "a time of nanoseconds": pa.array([1] * N, pa.timestamp("ns")),
    "a time after the last": pa.array([2**62] * N, pa.timestamp("us")),
    "a long duration": pa.array([2**62] * N, pa.duration("ms")),
    "decimals": pa.array([Decimal("1.5")] * N),
    "a field twice": pa.StructArray.from_arrays([pa.array([1] * N), pa.array([2] * N)], names=["x", "x"]),
    "a map": pa.array([[("k", 1)]] * N, pa.map_(pa.string(), pa.int64())),
    "a dictionary": pa.array(["x"] * N).dictionary_encode(),
    "pictures": pa.array([{"bytes": b"\xff\xd8", "path": None}] * N),
    "large text": pa.array(["x"] * N, pa.large_string()),
    "text that is no UTF-8": pa.Array.from_buffers(
        pa.string(), N, pa.array([b"\xff"] * N, pa.binary()).buffers()
    ),
    "lists of zones": pa.array([[1]] * N, pa.list_(pa.timestamp("ms", "Mars/Olympus"))),
    "an extension": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"x" * 16] * N, pa.binary(16))),
    "nothing": pa.nulls(N),
}  # fmt: skip


def write(path, columns):
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", ["created", "embedding", "stratum", "strength"])
def test_a_column_that_nobody_reads_costs_nothing(tmp_path, odd, name):
    path = write(tmp_path / "a.parquet", {**TEXTS, name: ODD[odd]})
    assert [type(row) for row in read_pairs(path, FieldMap())] == [PreferencePair] * N


@pytest.mark.parametrize("odd", ODD)
def test_nor_in_completions_labels_and_logs(tmp_path, odd):
    columns = {
        "prompt": ["p"] * N,
        "completion": ["c"] * N,
        "odd": ODD[odd],
        "rule": ["r"] * N,
        "satisfied": [True] * N,
    }
    path = write(tmp_path / "a.parquet", columns)
    assert all(isinstance(row, Completion) for row in read_completions(path, {}))
    assert len(list(read_label_rows(path, {}))) == N
    log = write(tmp_path / "log.parquet", {"step": [1, 2, 3], "reward": [0.1, 0.2, 0.3], "odd": ODD[odd]})
    assert len(read_log(log).rows) == N


CAN_NOT_BE_READ = ("an unknown zone", "a date after the last", "a time after the last", "a field twice")


@pytest.mark.parametrize("odd", ODD)
def test_a_column_that_is_read_costs_its_rows_and_says_why(tmp_path, odd):
    path = write(tmp_path / "a.parquet", {**TEXTS, "id": ODD[odd]})
    rows = list(read_pairs(path, FieldMap({"stratum": "id"})))
    assert [row.row for row in rows] == [1, 2, 3]
    if odd in CAN_NOT_BE_READ:
        assert all(isinstance(row, RejectedRow) for row in rows)
    for row in rows:
        assert isinstance(row, PreferencePair) or (
            row.reasons[0].code == "unreadable_value" and row.reasons[0].message.startswith("id is a ")
        )


def test_only_the_row_with_the_value_is_lost(tmp_path):
    days = pa.array([0, 2**30, 1], pa.date32())
    path = write(tmp_path / "a.parquet", {**TEXTS, "id": days})
    first, bad, last = read_pairs(path, FieldMap({"stratum": "id"}))
    assert first.source_id == "1970-01-01" and last.source_id == "1970-01-02"
    assert bad.reasons[0].code == "unreadable_value" and "date32" in bad.reasons[0].message


@pytest.mark.parametrize("odd", ODD)
def test_an_id_that_can_not_be_read_costs_nothing_but_itself(tmp_path, odd):
    path = write(tmp_path / "a.parquet", {**TEXTS, "completion": ["c"] * N, "id": ODD[odd]})
    pairs, completions = list(read_pairs(path, FieldMap())), list(read_completions(path, {}))
    assert [type(row) for row in pairs + completions] == [PreferencePair] * N + [Completion] * N
    if odd in CAN_NOT_BE_READ:
        assert {row.source_id for row in pairs} == {None}


def test_bytes_that_are_text_and_maps_are_read(tmp_path):
    said = [[("role", b"assistant"), ("content", b"A pear.")]]
    maps = pa.array([said] * N, pa.list_(pa.map_(pa.binary(), pa.binary())))
    binary = pa.array([b"Stone.", "Stöne.".encode(), b"\xff"], pa.binary())
    good, other, bad = read_pairs(
        write(tmp_path / "a.parquet", {**TEXTS, "chosen": maps, "rejected": binary}), FieldMap()
    )
    assert [good.chosen[0].role, good.chosen[0].content, good.rejected[0].content] == ["assistant", "A pear.", "Stone."]
    assert other.rejected[0].content == "Stöne."
    assert [reason.code for reason in bad.reasons] == ["wrong_type"]


def test_a_map_with_a_key_twice_is_no_message(tmp_path):
    said = pa.array([[("role", "user"), ("content", "A"), ("content", "B")]] * N, pa.map_(pa.string(), pa.string()))
    rows = list(read_pairs(write(tmp_path / "a.parquet", {**TEXTS, "chosen": said}), FieldMap()))
    assert all(isinstance(row, RejectedRow) for row in rows)


def test_all_columns_are_named_and_read_where_nothing_is_said_of_them(tmp_path):
    path = write(tmp_path / "a.parquet", {**TEXTS, "day": [datetime.date(2024, 5, 1)] * N})
    (row, *_) = read_rows(path)
    assert row.values["day"] == datetime.date(2024, 5, 1)
    with pytest.raises(InputError, match=r"no column 'zzz' .* it has prompt, chosen, rejected, day"):
        next(read_pairs(path, FieldMap({"prompt": "zzz"})))


def test_two_columns_of_one_name_are_refused_only_where_they_are_read(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table([*map(pa.array, TEXTS.values()), pa.array([1] * N)], names=[*TEXTS, "chosen"]), path)
    with pytest.raises(InputError, match="several columns 'chosen'"):
        list(read_pairs(path, FieldMap()))
    arrays = [*map(pa.array, TEXTS.values()), pa.array([1] * N), pa.array([2] * N)]
    pq.write_table(pa.table(arrays, names=[*TEXTS, "x", "x"]), path)
    assert isinstance(next(read_pairs(path, FieldMap())), PreferencePair)


def test_names_with_dots_are_columns_of_their_own(tmp_path):
    path = write(tmp_path / "a.parquet", {**TEXTS, "chosen.score": [1.0] * N, "chosen.odd": ODD["an unknown zone"]})
    columns = {"score_chosen": "chosen.score"}
    assert isinstance(next(read_pairs(path, FieldMap(columns))), PreferencePair)


def test_a_file_without_any_column_that_is_read_says_what_it_has(tmp_path):
    path = write(tmp_path / "a.parquet", {"x": [1], "y": ["z"]})
    with pytest.raises(InputError, match="it has x, y"):
        list(read_pairs(path, FieldMap()))


def test_damage_in_the_middle_says_after_which_row(tmp_path):
    path = tmp_path / "a.parquet"
    texts = {name: [f"{name} {i}" for i in range(2000)] for name in TEXTS}
    pq.write_table(pa.table(texts), path, row_group_size=600, compression="gzip")
    content = bytearray(path.read_bytes())
    start = pq.ParquetFile(path).metadata.row_group(2).column(0).data_page_offset
    content[start : start + 3000] = b"\xff" * 3000
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.parquet .*after row \d+") as caught:
        list(read_pairs(path, FieldMap()))
    assert "\n" not in str(caught.value)
