"""Streams that take nothing, or not every character: a run that succeeded is not ended by what it shows."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.test_machine import ROOT, arguments, error_line, process
from tests.integration.test_machine import rules as rules  # a fixture


@pytest.mark.parametrize(
    "env",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "cp1252:strict"},
        {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
@pytest.mark.parametrize("command", ["show", "lint --json"])
def test_a_terminal_of_another_encoding_is_shown_all(rules, env, command):
    done = process("rules", *command.split()[:1], rules, *command.split()[1:], env=env)
    assert b"Traceback" not in done.stderr and b"UnicodeEncodeError" not in done.stderr
    assert done.returncode in (0, 1)
    if "--json" in command:
        json.loads(done.stdout)
    else:
        assert b"\\u65e5\\u672c" in done.stdout


def test_a_reader_that_goes_away_ends_a_command_quietly(rules):
    command = f"{sys.executable} -m autorule rules show {rules} | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True)
    assert done.returncode == 141 and done.stderr == b"" and len(done.stdout.splitlines()) == 1


@pytest.mark.long
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_stdout_costs_what_was_to_be_shown_and_not_the_run(tmp_path):
    with Path("/dev/full").open("wb") as full:
        done = process(*arguments(tmp_path), stdout=full, code=2)
        assert "stdout can't be written: No space left on device" in error_line(done.stderr.decode())
        process(*arguments(tmp_path, run_id="s"), stderr=full, code=0)
    for run_id in ("r", "s"):
        assert json.loads((tmp_path / f"outputs/{run_id}/manifest.json").read_text())["status"] == "completed"


def test_streams_that_are_closed_from_the_beginning_end_no_run(tmp_path):
    words = " ".join(map(str, arguments(tmp_path)))
    done = subprocess.run(["bash", "-c", f"{sys.executable} -m autorule {words} >&- 2>&-"], cwd=ROOT)
    assert done.returncode == 0
