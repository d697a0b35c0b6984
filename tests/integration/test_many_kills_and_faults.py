"""A run that is killed twenty times, and one in which a tenth of the answers fails, counted at the server."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
from collections import Counter

import pytest
from starlette.responses import Response

from autorule.config.layers import build_config
from autorule.config.runs import ExtractConfig
from autorule.flows.extract_rules import extract_rules
from autorule.runs.files import FAILURES, RULE_SET
from tests.integration.scripted_server import (
    Hang,
    ScriptedServer,
    completion,
    cut_off,
    helpful,
    shown,
    stage_of,
    wait_until,
)
from tests.integration.test_kill_and_resume import CONCURRENCY, ROOT, answer, command
from tests.scripts import digest

N_KILLS = 20


async def _slowly(body):
    await asyncio.sleep(0.02)
    return answer(body)


def _wait_for_answers(server, n, process):
    wait_until(lambda: len(server.answered) >= n or process.poll() is not None, f"{n} answers")


@pytest.mark.long
def test_twenty_kills_spread_over_a_run_change_nothing_and_repeat_only_what_was_in_flight(tmp_path):
    with ScriptedServer(answer) as server:
        unbroken = subprocess.run(
            command(server, tmp_path / "other", "whole"), cwd=ROOT, capture_output=True, text=True
        )
        assert unbroken.returncode == 0, unbroken.stderr
        n_calls = len(server.log)
    with ScriptedServer(_slowly) as server:
        for kill in range(1, N_KILLS + 1):
            n_until = n_calls * kill // (N_KILLS + 1)
            process = subprocess.Popen(
                command(server, tmp_path, "run"), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            try:
                _wait_for_answers(server, n_until, process)
                assert process.poll() is None, "the run must not be over yet"
            finally:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
        last = subprocess.run(command(server, tmp_path, "run"), cwd=ROOT, capture_output=True, text=True)
        assert last.returncode == 0, last.stderr
        repeats = Counter(server.sent())
    extra = sum(n - 1 for n in repeats.values())
    assert extra <= N_KILLS * CONCURRENCY, "a kill loses at most what was in flight"
    assert len(repeats) == n_calls, "the same questions are asked as in an unbroken run"
    resumed = (tmp_path / "outputs/run" / RULE_SET).read_bytes()
    assert resumed == (tmp_path / "other/outputs/whole" / RULE_SET).read_bytes()


class Faulty:
    """Answers like `helpful`, and lets one request in ten fail in one of six ways, however often it is sent."""

    def __init__(self):
        self.mended = False
        self.failed = set()

    def __call__(self, body):
        text = shown(body)
        fate = digest(text)
        if self.mended or stage_of(body) == "synthesis" or fate % 10:
            return helpful(body)
        self.failed.add(text)
        kinds = (
            lambda: Response(status_code=429),
            lambda: Response(status_code=500),
            Hang,
            lambda: cut_off(helpful(body)),
            lambda: completion(""),
            lambda: completion("I'm sorry, but I can't help with that."),
        )
        return kinds[fate // 10 % len(kinds)]()


@pytest.mark.long
def test_a_tenth_of_the_answers_fails_and_the_next_run_asks_only_for_those(tmp_path):
    n_pairs = 2000
    rows = ({"prompt": f"Question {i}?", "chosen": f"Good {i}.", "rejected": f"Bad {i}."} for i in range(n_pairs))
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    faulty = Faulty()
    with ScriptedServer(faulty) as server:
        model = {
            "backend": "openai_compatible", "model": "m", "base_url": server.base_url, "timeout_s": 2.0,
            "max_retries": 0, "retry_wait_s": 0.01, "concurrency": 64,
        }  # fmt: skip
        settings = {"pairs": tmp_path / "pairs.jsonl", "outputs": tmp_path, "model": model, "mining": {"asks": 1}}
        settings["cache"] = {"path": tmp_path / "cache.sqlite"}
        first = extract_rules.fn(build_config(ExtractConfig, settings, {"run_id": "first"}))
        failed, asked = set(faulty.failed), set(server.sent())
        assert first.status == "completed"
        assert first.funnel.imbalances() == []
        assert first.funnel.chains_failed + first.funnel.mining_failed == len(failed) == first.files[FAILURES]
        assert 0.05 * 2 * n_pairs < len(failed) < 0.15 * 2 * n_pairs

        faulty.mended = True
        server.log.clear()
        second = extract_rules.fn(build_config(ExtractConfig, settings, {"run_id": "second"}))
        sent = {text for text in server.sent() if not text.startswith(("Below is a numbered", "Here are", "Each of"))}
        mined_late = sent - asked
        assert sent & asked == failed, "of what was asked before only the failed ones are asked again"
        assert len(mined_late) <= first.funnel.chains_failed, "and the chains that are there only now are mined"
        assert second.funnel.chains_failed == second.funnel.mining_failed == 0
        assert second.funnel.imbalances() == []
    connection = sqlite3.connect(tmp_path / "cache.sqlite")
    attempts = dict(connection.execute("SELECT attempt, count(*) FROM generations GROUP BY attempt").fetchall())
    connection.close()
    assert attempts[1] >= len(failed), "the failed ones are stored under a new attempt"
