"""The machine under a run: full disks, folders that vanish, streams that take nothing, homes that are not there.

Each ends in one line that names the file and the fix, or in nothing at all; what was answered is not asked again.
"""

import json
import logging
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from autorule.backends import close_backends, forgiving
from autorule.backends.answer_store import AnswerStore, NewGeneration
from autorule.backends.base import GenerateRequest
from autorule.backends.cached import CachedBackend
from autorule.backends.scripted import ScriptedBackend
from autorule.config.stages import Sampling
from autorule.errors import CacheError
from autorule.records import ModelOutput
from autorule.rewards import RuleReward
from autorule.rules.rule_sets import dump_rule_set
from tests.commands import run_command
from tests.conftest import make_rule_set, messages
from tests.scripts import helpful

ROOT = Path(__file__).parents[2]
PAIRS = ROOT / "examples/sample_pairs.jsonl"
N_CALLS = 98
"""Of an extraction from PAIRS by `helpful`."""
ONE_SHARD = ("--set", "shard_size=100")
STAGES = ("interpretation: ", "mining: ", "synthesis: ")
HERE = "tests.integration.test_machine"


def breaks_the_run() -> ScriptedBackend:
    """Like `helpful`, but with answer number $BREAK_AT the path $BREAK vanishes; $THEN says what stands there then."""
    answered = []
    plain = helpful()

    def generate(request: GenerateRequest) -> ModelOutput:
        answered.append(request)
        if len(answered) == int(os.environ.get("BREAK_AT", "0")):
            broken = Path(os.environ["BREAK"])
            shutil.rmtree(broken)
            if os.environ["THEN"] == "file":
                broken.write_text("theirs")
            elif os.environ["THEN"] == "link":
                broken.symlink_to(os.environ["OTHERS"])
        return plain._script(request)

    return ScriptedBackend(generate, plain._choice_script, name="helpful")


def arguments(folder, script="tests.scripts:helpful", run_id="r"):
    return [
        "extract", PAIRS, "--backend", "scripted", "--model", script, "--no-prefect", "--out", folder / "outputs",
        "--run-id", run_id, "--cache", folder / "cache/c.sqlite", "--set", "shard_size=10",
    ]  # fmt: skip


def process(*args, code=None, limit=None, **settings):
    """A command in a process of its own; `limit`: bytes of the largest file that it may write."""

    def limited():
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    env = {**os.environ, "PYTHONPATH": str(ROOT), **settings.pop("env", {})}
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **settings}
    command = [sys.executable, "-m", "autorule", *map(str, args)]
    done = subprocess.run(command, env=env, preexec_fn=limited, **output)
    assert code is None or done.returncode == code, done.stderr.decode()
    return done


def error_line(text):
    """The one line of an error; all others are those of the progress."""
    assert "Traceback" not in text, text
    [line] = [line for line in text.splitlines() if line.startswith("Error: ")]
    assert [one for one in text.splitlines() if not one.startswith(STAGES)] == [line], text
    return line


def n_kept(cache):
    with sqlite3.connect(cache) as connection:
        return connection.execute("SELECT count(*) FROM generations WHERE NOT failed").fetchone()[0]


def sent_and_cached(stdout):
    words = next(line for line in stdout.splitlines() if line.startswith("model calls: ")).split()
    return int(words[2]), int(words[-5])


@pytest.fixture
def full_disk(tmp_path):
    """A disk of 150 kB, which an extraction fills in the middle, and what makes it larger."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=150k", "tmpfs", disk]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here: it takes root")
    yield disk, lambda: subprocess.run(["mount", "-o", "remount,size=10m", disk], check=True)
    close_backends()
    subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("what", ["cache", "outputs"])
def test_a_full_disk_ends_the_run_and_the_same_command_goes_on(tmp_path, full_disk, what, monkeypatch, capsys):
    disk, make_room = full_disk
    (tmp_path / what).symlink_to(disk)
    code, out, err = run_command(monkeypatch, capsys, *arguments(tmp_path))
    assert code == 3, err
    told = error_line(err)
    assert "full" in told or "No space left on device; free space on its disk" in told
    assert "run again with --run-id r: what was finished is kept" in told
    kept = n_kept(tmp_path / "cache/c.sqlite")
    assert 0 < kept < N_CALLS
    make_room()
    close_backends()  # as the process does that ends
    code, out, err = run_command(monkeypatch, capsys, *arguments(tmp_path))
    assert code == 0, err
    assert sent_and_cached(out) == (N_CALLS - kept, kept)
    assert json.loads((tmp_path / "outputs/r/manifest.json").read_text())["status"] == "completed"


@pytest.mark.long
def test_a_limit_on_the_size_of_files_is_told_as_such(tmp_path):
    limited = process(*arguments(tmp_path), limit=120_000, code=3)
    assert "c.sqlite can't be written" in error_line(limited.stderr.decode())
    kept = n_kept(tmp_path / "cache/c.sqlite")
    again = process(*arguments(tmp_path), code=0)
    assert sent_and_cached(again.stdout.decode()) == (N_CALLS - kept, kept)


@pytest.mark.parametrize(
    ("broken", "then"),
    [
        *((broken, then) for broken in ("outputs", "outputs/r") for then in ("nothing", "file", "link")),
        *(("outputs/r/parts", then) for then in ("nothing", "file")),
    ],
)
def test_a_folder_that_vanishes_under_a_run_ends_it_in_one_line(tmp_path, monkeypatch, capsys, broken, then):
    others = tmp_path / "others"
    others.mkdir()
    (others / "theirs.jsonl").write_text("theirs")
    for name, value in {"BREAK_AT": "60", "BREAK": tmp_path / broken, "THEN": then, "OTHERS": others}.items():
        monkeypatch.setenv(name, str(value))
    code, out, err = run_command(monkeypatch, capsys, *arguments(tmp_path, f"{HERE}:breaks_the_run"), *ONE_SHARD)
    assert code == 3, err
    told = error_line(err)
    assert broken in told and "run again with --run-id r" in told
    assert [path.name for path in others.iterdir()] == ["theirs.jsonl"]
    kept = n_kept(tmp_path / "cache/c.sqlite")
    assert kept >= 60
    path = tmp_path / broken
    if then != "nothing":
        assert path.is_symlink() or path.read_text() == "theirs"
        path.unlink()
    monkeypatch.delenv("BREAK_AT")
    code, out, err = run_command(monkeypatch, capsys, *arguments(tmp_path), *ONE_SHARD)
    assert code == 0, err
    sent, _ = sent_and_cached(out)
    assert sent == N_CALLS - kept


def test_nothing_is_asked_whose_answer_could_not_be_kept(tmp_path):
    store, backend = AnswerStore(tmp_path / "c.sqlite"), helpful()
    requests = [GenerateRequest(str(i), "mining", messages(f"Chain {i}."), Sampling()) for i in range(3)]
    [n_pages] = store._connection.execute("PRAGMA page_count").fetchone()
    store._connection.execute(f"PRAGMA max_page_count = {n_pages}")  # as on a full disk
    with pytest.raises(CacheError, match="free its disk"):
        store.put_generations([NewGeneration(b"k", 0, "mining", False, "x" * 100_000)])
    with pytest.raises(CacheError, match="can't be written"):
        list(CachedBackend(backend, store).generate(requests))
    assert backend.log == []
    store._connection.execute("PRAGMA max_page_count = 1000000")
    assert len(list(CachedBackend(backend, store).generate(requests))) == 3
    assert store.generations([b"k"])[b"k"][0].payload == b"x" * 100_000, "what was refused is not lost either"


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    """A rule set with characters that few encodings have."""
    path = tmp_path_factory.mktemp("rules") / "rules.json"
    path.write_text(
        dump_rule_set(make_rule_set("Say naïve → 日本 \N{GRINNING FACE}.", *map("Be {}.".format, range(500))))
    )
    return path


@pytest.mark.parametrize("home", ["unset", "a file", "missing"])
def test_without_a_home_that_can_be_written_a_run_says_what_to_do(tmp_path, home):
    (tmp_path / "file").write_text("")
    env = {"HOME": str(tmp_path / "file"), "XDG_CACHE_HOME": ""} if home == "a file" else {}
    if home == "missing":
        env = {"HOME": "/proc/no/home", "XDG_CACHE_HOME": ""}
    if home == "unset":
        env = {"HOME": "", "XDG_CACHE_HOME": "/proc/nowhere"}
    args = [one for one in arguments(tmp_path) if one not in ("--cache", tmp_path / "cache/c.sqlite")]
    done = process(*args, env=env, cwd=tmp_path, code=2)
    told = error_line(done.stderr.decode())
    assert "answers.sqlite can't be opened" in told and "--cache" in told and "--no-cache" in told


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--cache", "folder"], "it is a folder"),
        (["--cache", "file/c.sqlite"], "part of its path is a file"),
        (["--out", "file"], "part of its path is a file"),
        (["--run-id", "x" * 300], "up to 199"),
        (["--out", "bad\udcff"], r"bad\udcff is no UTF-8 text"),
    ],
)
def test_a_place_that_can_not_be_is_told_before_anything_is_asked(tmp_path, monkeypatch, capsys, option, words):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    monkeypatch.chdir(tmp_path)
    code, _, err = run_command(monkeypatch, capsys, *arguments(tmp_path), *option)
    assert code == 2 and words in error_line(err)
    assert (tmp_path / "file").read_text() == "mine" and list((tmp_path / "folder").iterdir()) == []


TRAINER = """
import sys
sys.path.insert(0, sys.argv[1])
import rule_reward
print(rule_reward.rule_reward(prompts=["p"], completions=["Hello!"]), rule_reward.load().counts.sent)
"""


@pytest.mark.parametrize("named", [None, "my.sqlite"])
def test_an_exported_reward_finds_the_same_answers_from_every_folder(tmp_path, monkeypatch, capsys, rules, named):
    (tmp_path / "exporting").mkdir()
    (tmp_path / "training").mkdir()
    monkeypatch.chdir(tmp_path / "exporting")
    option = ["--set", f'cache.path="{named}"'] if named else []
    command = ["export", rules, "--to", "trl", "--out", tmp_path / "export", "--backend", "scripted"]
    code, _, err = run_command(monkeypatch, capsys, *command, "--model", "tests.scripts:helpful", *option)
    assert code == 0, err
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    sent = []
    for folder in ("exporting", "training"):
        trainer = [sys.executable, "-c", TRAINER, str(tmp_path / "export")]
        done = subprocess.run(trainer, cwd=tmp_path / folder, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        sent.append(int(done.stdout.split()[-1]))
    assert sent == [501, 0]
    kept = tmp_path / "exporting/my.sqlite" if named else Path(os.environ["XDG_CACHE_HOME"]) / "autorule/answers.sqlite"
    assert kept.exists() and not list((tmp_path / "training").iterdir())


def test_a_home_that_can_not_be_written_costs_a_reward_its_cache_and_one_warning(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(forgiving, "_told", set())
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    monkeypatch.chdir(tmp_path)
    reward = RuleReward(make_rule_set("Mention pears."), {"backend": "scripted", "model": "tests.scripts:by_words"})
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert reward(prompts=["p"], completions=["pears"]) == [1.0]
    [told] = [record.message for record in caplog.records]
    assert "going on without the cache" in told and "/proc/nowhere/autorule/answers.sqlite" in told


def test_answers_that_an_earlier_version_kept_are_gone_on_with_and_it_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = tmp_path / "outputs/cache/answers.sqlite"
    code, _, err = run_command(monkeypatch, capsys, *arguments(tmp_path), "--cache", before)
    assert code == 0, err
    by_default = [one for one in arguments(tmp_path, run_id="s") if one not in ("--cache", tmp_path / "cache/c.sqlite")]
    code, out, err = run_command(monkeypatch, capsys, *by_default)
    assert code == 0, err
    assert sent_and_cached(out) == (0, N_CALLS)
    assert out.count("as by earlier versions") == 1 and str(before) in out
    close_backends()
    shutil.rmtree(before.parent)
    code, out, err = run_command(monkeypatch, capsys, *[one if one != "s" else "t" for one in by_default])
    assert sent_and_cached(out) == (N_CALLS, 0) and "earlier versions" not in out
    assert not before.exists()
