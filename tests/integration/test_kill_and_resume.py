"""kill -9 in the middle of a stage, then the same command again: counted at the server."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from autorule.rules.rule_sets import load_rule_set
from tests.integration.scripted_server import ScriptedServer, helpful, shown, wait_until
from tests.scripts import THEMES, digest

ROOT = Path(__file__).parents[2]
CONCURRENCY = 4


def command(server: ScriptedServer, folder: Path, run_id: str) -> list[str]:
    return [
        sys.executable, "-m", "autorule", "extract", "examples/sample_pairs.jsonl",
        "--base-url", server.base_url, "--model", "m", "--out", str(folder / "outputs"), "--run-id", run_id,
        "--cache", str(folder / "cache.sqlite"), "--no-prefect",
        "--set", f"model.concurrency={CONCURRENCY}", "--set", "shard_size=10", "--set", "synthesis.fold_similarity=1.0",
        "--set", "synthesis.merge_similarity=0.99", "--set", "synthesis.max_merge_rules=2",
        "--set", "synthesis.max_rules=20", "--set", "synthesis.merge_rounds=2",
    ]  # fmt: skip


def answer(body):
    """Rules that differ from chain to chain, so that synthesis has many merges to make."""
    if shown(body).startswith("Below is somebody"):
        number = digest(shown(body)) % 1000
        rules = [f"The response should {theme} in case {number}." for theme in THEMES if theme in shown(body)]
        body_text = json.dumps({"rules": rules})
        return {"choices": [{"finish_reason": "stop", "message": {"content": body_text}}], "usage": {}}
    return helpful(body)


def committed(folder: Path, stage: str) -> int:
    with sqlite3.connect(folder / "cache.sqlite") as connection:
        query = "SELECT count(*) FROM generations WHERE stage = ? AND NOT failed"
        return connection.execute(query, (stage,)).fetchone()[0]


@pytest.mark.parametrize(
    ("stage", "n_before"),
    [
        ("interpretation", 17),
        pytest.param("mining", 20, marks=pytest.mark.long),
        pytest.param("synthesis", 6, marks=pytest.mark.long),
    ],
)
def test_a_killed_run_goes_on_where_it_was(tmp_path, stage, n_before):
    with ScriptedServer(answer) as server:
        server.hold_after(stage, n_before)
        process = subprocess.Popen(command(server, tmp_path, "first"), cwd=ROOT, stderr=subprocess.PIPE)
        try:
            wait_until(lambda: server.held == CONCURRENCY, f"{CONCURRENCY} requests of {stage} are in flight")
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
        n_committed = committed(tmp_path, stage)
        assert n_committed == n_before, "an answer is committed before its place goes to another request"
        answered, in_flight = set(server.answered), set(server.sent()) - set(server.answered)
        assert len(in_flight) == CONCURRENCY
        assert json.loads((tmp_path / "outputs/first/manifest.json").read_text())["status"] == "running"

        server.release()
        server.log.clear()
        resumed = subprocess.run(command(server, tmp_path, "second"), cwd=ROOT, capture_output=True, text=True)
        assert resumed.returncode == 0, resumed.stderr
        assert answered.isdisjoint(server.sent()), "no call whose answer was committed is sent again"
        assert len(server.sent()) == len(set(server.sent()))
        assert in_flight <= set(server.sent())

        unbroken = subprocess.run(
            [*command(server, tmp_path / "other", "third")], cwd=ROOT, capture_output=True, text=True
        )
        assert unbroken.returncode == 0, unbroken.stderr
    resumed_rules = (tmp_path / "outputs/second/03_rule_set.json").read_bytes()
    assert resumed_rules == (tmp_path / "other/outputs/third/03_rule_set.json").read_bytes()
    assert load_rule_set(tmp_path / "outputs/second/03_rule_set.json").rules
