"""A pattern in the place of a file: every file that matches, one after the other, each by its name."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autorule.config.runs import ScoreConfig
from autorule.errors import InputError
from autorule.preferences.completions import read_completions
from autorule.preferences.fields import FieldMap
from autorule.preferences.readers import check_file
from autorule.preferences.reading import read_pairs
from autorule.records import PreferencePair
from autorule.runs.input_files import files_of, names_of, together
from autorule.runs.manifest import describe_input, describe_inputs
from autorule.runs.run_folder import Run, completed_before
from autorule.runs.run_ids import id_part


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def pair(fruit, **more):
    return {"prompt": f"Which {fruit}?", "chosen": "A pear.", "rejected": "Stone.", **more}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x.jsonl").write_text("\n" + lines(pair("red", id="r"), {"prompt": 1}), encoding="utf-8")
    (tmp_path / "a.csv").write_text("prompt,chosen,rejected\nWhich blue?,A,B\n", encoding="utf-8")
    (tmp_path / "b" / "y.jsonl").write_text(lines(pair("green")), encoding="utf-8")
    (tmp_path / "notes.md").write_text("no rows", encoding="utf-8")
    return tmp_path


def test_files_are_read_in_the_order_of_their_names_and_rows_name_their_file(folder):
    rows = list(read_pairs(folder / "**" / "*.[jc]s*", FieldMap()))
    assert [row.source_id for row in rows] == ["a.csv:1", "b/x.jsonl:r", "b/x.jsonl:3", "b/y.jsonl:1"]
    assert [row.row for row in rows] == [1, 3, 4, 5]
    assert [isinstance(row, PreferencePair) for row in rows] == [True, True, False, True]


def test_a_pattern_that_matches_one_file_reads_it_as_that_file(folder):
    assert list(read_pairs(folder / "b" / "y*", FieldMap())) == list(read_pairs(folder / "b" / "y.jsonl", FieldMap()))


def test_completions_too(tmp_path):
    for name in ("1", "2"):
        (tmp_path / f"{name}.jsonl").write_text(lines({"prompt": name, "completion": "c"}, {}), encoding="utf-8")
    rows = list(read_completions(tmp_path / "?.jsonl", {}))
    assert [(row.row, row.source_id) for row in rows] == [
        (1, "1.jsonl:1"), (2, "1.jsonl:2"), (3, "2.jsonl:1"), (4, "2.jsonl:2"),
    ]  # fmt: skip


def test_files_are_named_one_by_one_and_read_in_that_order(folder):
    both = together([folder / "b" / "y.jsonl", folder / "a.csv", folder / "b" / "x*"])
    assert [row.source_id for row in read_pairs(both, FieldMap())] == [
        "b/y.jsonl:1",
        "a.csv:1",
        "b/x.jsonl:r",
        "b/x.jsonl:3",
    ]
    assert [part.path for part in describe_input(both).files] == [str(file) for file in files_of(both)]
    with pytest.raises(InputError, match="does not exist"):
        check_file(together([folder / "a.csv", folder / "gone.csv"]))
    with pytest.raises(InputError, match="are the same file; leave out one"):
        files_of(together([folder / "a.csv", folder / "*.csv"]))
    (folder / "odd:name.jsonl").write_text(lines(pair("odd")), encoding="utf-8")
    assert files_of(folder / "odd:name.jsonl") == [folder / "odd:name.jsonl"]


def test_each_file_must_have_the_columns(folder):
    (folder / "b" / "z.jsonl").write_text(lines({"question": "?"}), encoding="utf-8")
    with pytest.raises(InputError, match=r"b/z\.jsonl has neither"):
        list(read_pairs(folder / "b" / "*.jsonl", FieldMap()))


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("*.parquet", r"\*\.parquet matches no file; give files, or a pattern"),
        ("*", r"notes\.md: unknown format '\.md'"),
        ("b", "b is a folder; give a file, or a pattern such as"),
    ],
)
def test_what_names_no_rows_is_one_line_before_anything_is_read(folder, pattern, message):
    with pytest.raises(InputError, match=message):
        check_file(folder / pattern)


def test_a_file_that_comes_twice_is_an_error(folder):
    (folder / "b" / "again.jsonl").symlink_to(folder / "b" / "x.jsonl")
    with pytest.raises(InputError, match=r"again\.jsonl and .*x\.jsonl are the same file; leave out one"):
        files_of(folder / "b" / "*.jsonl")


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path):
    path = tmp_path / "data[1].jsonl"
    path.write_text(lines(pair("red")), encoding="utf-8")
    assert files_of(path) == [path]
    assert next(read_pairs(path, FieldMap())).source_id is None


def test_names_tell_files_apart_and_nothing_else(tmp_path):
    assert names_of([tmp_path / "a" / "x", tmp_path / "b" / "x"]) == ["a/x", "b/x"]
    assert names_of([tmp_path / "a" / "x", tmp_path / "a" / "y"]) == ["x", "y"]
    assert names_of([tmp_path / "x"]) == ["x"]


def test_the_manifest_has_each_file_and_one_hash_of_all(folder):
    before = describe_input(folder / "b" / "*.jsonl")
    assert [file.path for file in before.files] == [str(folder / "b" / name) for name in ("x.jsonl", "y.jsonl")]
    assert before.n_bytes == sum(file.n_bytes for file in before.files)
    (folder / "b" / "y.jsonl").write_text(lines(pair("yellow")), encoding="utf-8")
    after = describe_input(folder / "b" / "*.jsonl")
    assert after.sha256 != before.sha256 and after.files[0] == before.files[0]
    assert "files" not in describe_input(folder / "a.csv").model_dump()


def test_a_run_on_a_pattern_knows_when_a_file_changes(folder):
    config = ScoreConfig(completions=folder / "b" / "*.jsonl", rules=folder / "r.json", outputs=folder / "out")
    inputs = {"completions": config.completions, "rules": config.rules}
    with Run.start("score-completions", config, inputs, "one") as run:
        assert list(run.manifest.inputs) == ["completions"], "the rules are not there"
        assert run.manifest.inputs == describe_inputs(inputs)
    assert completed_before(run.folder, config, inputs)
    (folder / "b" / "y.jsonl").write_text(lines(pair("yellow")), encoding="utf-8")
    assert not completed_before(run.folder, config, inputs)


@pytest.mark.parametrize(("pattern", "part"), [("data/*.jsonl", "data"), ("d/**/*.csv", "d"), ("d/p?r.csv", "p_r")])
def test_the_run_id_of_a_pattern_can_be_given_again(folder, pattern, part):
    assert id_part(folder / pattern) == part


def test_colons_in_the_names_of_several_files(tmp_path):
    files = [tmp_path / name for name in ("a:b.jsonl", "[x].jsonl", "c\\:d.jsonl", "e\\.jsonl")]
    for file in files:
        file.write_text(lines(pair(file.name)), encoding="utf-8")
    assert files_of(together(files)) == files
    assert [row.source_id for row in read_pairs(together(files), FieldMap())] == [f"{file.name}:1" for file in files]
    for file in files:
        assert files_of(together([file])) == files_of(file) == [file]
    assert files_of(together([tmp_path / "a:*", tmp_path / "c*"])) == [files[0], files[2]]
    assert files_of(tmp_path / "a:*") == [files[0]]


NAME = st.text(":\\ab[]*?", min_size=1, max_size=6).filter(lambda name: "." not in name)


@given(st.lists(NAME, min_size=2, max_size=4, unique=True))
def test_files_with_any_names_come_back_as_they_were(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("named")
    files = [folder / name for name in names]
    for file in files:
        file.write_text("x", encoding="utf-8")
    assert files_of(together(files)) == files


@pytest.mark.parametrize("name", [":", "a:b.jsonl", "::", "x:"])
def test_a_name_that_is_not_there_is_told_whole(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=f"^{name} does not exist"):
        check_file(Path(name))


def test_the_names_of_many_files_may_be_longer_than_one_may_be(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = [Path(f"{i:060}.jsonl") for i in range(120)]
    for file in files:
        file.write_text(lines(pair("red")), encoding="utf-8")
    assert files_of(together(files)) == files
