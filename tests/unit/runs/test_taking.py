"""A run takes what is its own, and touches nothing of others."""

import os

import pytest

from autorule.config.runs import ExtractConfig
from autorule.errors import AutoruleError, ConfigError, DiskError, RunFailedError
from autorule.records import CallCounts
from autorule.runs.files import FAILURES, MANIFEST, PARTS, RULE_SET, part_path, write_records
from autorule.runs.finished_shards import clear_unfinished, find_finished, note_finished
from autorule.runs.run_folder import Run
from autorule.runs.taking import LOCK, take_folder
from autorule.storage import write_text
from tests.conftest import make_pair


@pytest.fixture
def config(tmp_path):
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("{}\n")
    return ExtractConfig(pairs=pairs, outputs=tmp_path / "outputs", run_id="r")


def start(config):
    return Run.start("extract-rules", config, {"pairs": config.pairs})


@pytest.mark.parametrize("name", [".", LOCK, PARTS, MANIFEST, FAILURES, RULE_SET])
@pytest.mark.parametrize("to", ["file", "folder", "nothing"])
def test_a_link_in_place_of_what_a_run_writes_is_refused_and_not_followed(tmp_path, config, name, to):
    others = tmp_path / "others"
    others.mkdir()
    (others / "file").write_text("theirs")
    folder = config.outputs / "r"
    (folder if name != "." else config.outputs).mkdir(parents=True)
    link = folder if name == "." else folder / name
    link.symlink_to({"file": others / "file", "folder": others, "nothing": others / "nothing"}[to])
    with pytest.raises(AutoruleError) as told:
        start(config)
    assert str(link) in str(told.value) and len(str(told.value).splitlines()) == 1
    assert [path.name for path in others.iterdir()] == ["file"]
    assert (others / "file").read_text() == "theirs"


def test_a_folder_with_files_of_others_is_no_run_folder(config):
    folder = config.outputs / "r"
    folder.mkdir(parents=True)
    (folder / FAILURES).write_text("my notes")
    with pytest.raises(ConfigError, match=r"holds failures\.jsonl and no run"):
        start(config)
    assert [path.name for path in folder.iterdir()] == [FAILURES]
    assert (folder / FAILURES).read_text() == "my notes"


def test_what_a_run_leaves_that_was_killed_before_its_first_manifest_is_taken_over(config):
    folder = config.outputs / "r"
    (folder / PARTS).mkdir(parents=True)
    (folder / LOCK).write_text("")
    (folder / f".{MANIFEST}.{os.getpid()}.tmp").write_text("{")
    assert start(config).folder == folder


def test_a_lock_of_a_process_that_ended_holds_nobody_and_a_living_one_does(tmp_path):
    folder = tmp_path / "r"
    with take_folder(folder):
        with pytest.raises(ConfigError, match="in use by a run that goes on"):
            take_folder(folder)
        (folder / LOCK).unlink()  # as a run does that ends: who waited for this lock must not think that it has it
        take_folder(folder).close()
    take_folder(folder).close()


def test_a_run_that_can_not_begin_lets_go_of_its_folder(config, monkeypatch):
    def full(*_):
        raise OSError("no more")

    with monkeypatch.context() as patch:
        patch.setattr("autorule.runs.run_folder.describe_inputs", full)
        with pytest.raises(OSError, match="no more"):
            start(config)
    start(config)


def test_a_link_is_no_part(tmp_path):
    parts = tmp_path / PARTS
    parts.mkdir()
    others = tmp_path / "others"
    part = part_path(tmp_path, "01_x.jsonl", 0)
    write_records(part, [make_pair()])
    note_finished(parts, "mining", 0, "key", [part], 1, calls=CallCounts(sent=1))
    assert find_finished(parts, "mining", 0, "key") is not None
    part.rename(others)
    part.symlink_to(others)
    assert find_finished(parts, "mining", 0, "key") is None
    clear_unfinished(parts)
    assert others.exists() and not part.is_symlink()


@pytest.mark.parametrize("place", ["a file", "beneath a file"])
def test_a_place_that_can_not_be_a_folder_is_told_in_one_line(tmp_path, config, place):
    (tmp_path / "file").write_text("mine")
    outputs = tmp_path / "file" if place == "a file" else tmp_path / "file/outputs"
    with pytest.raises(ConfigError) as told:
        start(config.model_copy(update={"outputs": outputs}))
    assert "can't be made" in str(told.value) and "choose another place" in str(told.value)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_manifest_that_is_a_folder_is_told_in_one_line(config):
    (config.outputs / "r" / MANIFEST).mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"manifest\.json: Is a directory; it is a folder"):
        start(config)


def test_a_disk_that_is_full_at_the_end_leaves_what_was_finished(config, monkeypatch):
    run = start(config)
    write_text(run.folder / RULE_SET, "finished")
    with pytest.raises(RunFailedError, match=r"free space on its disk; then run again with --run-id r"), run:

        def full(*_):
            raise DiskError(28, "No space left on device", str(run.folder / MANIFEST))

        monkeypatch.setattr("autorule.runs.run_folder.write_text", full)
    monkeypatch.undo()
    assert (start(config).folder / RULE_SET).read_text() == "finished"
