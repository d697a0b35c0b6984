"""The command line as a user meets it, in a process of its own."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from starlette.responses import JSONResponse, Response

from autorule.rules.rule_sets import dump_rule_set
from tests.conftest import make_rule_set
from tests.integration.scripted_server import (
    Hang,
    ScriptedServer,
    completion,
    cut_off,
    helpful,
    logprobs,
    shown,
    wait_until,
)
from tests.scripts import digest

ROOT = Path(__file__).parents[2]
SCRIPTED = ["--backend", "scripted", "--model", "tests.scripts:helpful", "--no-prefect"]


def autorule(*arguments, cwd=ROOT, **environment):
    command = [sys.executable, "-m", "autorule", *map(str, arguments)]
    return subprocess.run(
        command,
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120", **environment},
    )


def test_extract_prints_the_funnel_the_rules_and_the_held_out_fractions(tmp_path):
    arguments = ["examples/sample_pairs.jsonl", "--held-out", "examples/held_out_pairs.jsonl", "--out", tmp_path / "o"]
    result = autorule("extract", *arguments, *SCRIPTED, "--cache", tmp_path / "c.sqlite")
    assert result.returncode == 0, result.stderr
    for words in ("rows → pairs", "candidates → rules", "support", "16 held-out pairs", "chosen", "run folder:"):
        assert words in result.stdout
    assert "The response should show each step of a calculation." in result.stdout
    again = autorule("extract", *arguments, *SCRIPTED, "--cache", tmp_path / "c.sqlite")
    assert "0 sent" in again.stdout


def test_score_prints_the_rewards(tmp_path):
    rules = tmp_path / "rules.json"
    rules.write_text(dump_rule_set(make_rule_set("It should be short.", "It should rhyme.")), encoding="utf-8")
    completions = tmp_path / "c.csv"
    completions.write_text("question,answer\nWhy?,Because.\n", encoding="utf-8")
    result = autorule(
        "score", completions, "--rules", rules, *SCRIPTED, "--columns", "prompt=question,completion=answer",
        "--out", tmp_path / "o", "--no-cache",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "1 completions × 2 rules: 2 verdicts (0 unscored)" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["extract", "nowhere.jsonl", *SCRIPTED], "nowhere.jsonl does not exist"),
        (
            ["extract", "examples/sample_pairs.jsonl", "--base-url", "http://127.0.0.1:9/v1", "--model", "m"],
            "can't reach",
        ),
        (["extract", "examples/sample_pairs.jsonl", "--base-url", "http://127.0.0.1:9/v1"], "needs model"),
        (["extract", "examples/sample_pairs.jsonl", "--set", "minning.x=1", *SCRIPTED], "minning"),
        (["extract", "examples/sample_pairs.jsonl", "--set", "x", *SCRIPTED], "write name=value"),
        (["extract", "examples/sample_pairs.jsonl", "--columns", "prompt", *SCRIPTED], "write name=value"),
        (["extract", "examples/sample_pairs.jsonl", "--backend", "magic"], "backend"),
        (["score", "examples/sample_pairs.jsonl", "--rules", "README.md", *SCRIPTED], "not JSON"),
        (["cache", "stats", "--cache", "nowhere.sqlite"], "there is no cache"),
        (["extract", "examples/sample_pairs.jsonl", *SCRIPTED, "--cache", "/proc/no/c.sqlite"], "/proc/no/c.sqlite"),
    ],
)
def test_an_error_is_one_line_that_says_the_fix(arguments, words):
    result = autorule(*arguments)
    assert result.returncode == 2
    assert result.stderr.strip().splitlines()[-1].startswith("Error: ")
    assert words in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_debug_shows_the_trace():
    result = autorule("extract", "nowhere.jsonl", *SCRIPTED, "--debug")
    assert "Traceback" in result.stderr


def test_settings_come_from_a_file_and_options_win(tmp_path):
    settings = tmp_path / "run.toml"
    settings.write_text("limit = 7\nseed = 1\n[mining]\nmax_rules = 1\n", encoding="utf-8")
    result = autorule(
        "extract", "examples/sample_pairs.jsonl", *SCRIPTED, "--config", settings, "--limit", "5", "--no-cache",
        "--set", "synthesis.max_rules=2", "--out", tmp_path, "--run-id", "r",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    config = json.loads((tmp_path / "r/manifest.json").read_text())["config"]
    assert (config["limit"], config["seed"]) == (5, 1)
    assert (config["mining"]["max_rules"], config["synthesis"]["max_rules"]) == (1, 2)


def test_extract_against_a_server_that_misbehaves(tmp_path):
    """A 429, a 500, a hang, a cut-off body, thinking in tags: a prompt meets one fault and is answered then."""
    met = set()

    def answer(body):
        text = shown(body)
        fault = digest(text) % 8
        if text in met or fault > 4:
            return helpful(body)
        met.add(text)
        if fault == 4:
            reply = helpful(body)
            message = reply["choices"][0]["message"]
            if reasoning := message.pop("reasoning_content", None):
                message["content"] = f"<think>{reasoning}</think>{message['content']}"
            return reply
        hurry = JSONResponse({}, 429, headers={"Retry-After": "0"})
        return (hurry, JSONResponse({}, 500), cut_off(completion("x")), Hang())[fault]

    with ScriptedServer(answer) as server:
        result = autorule(
            "extract", "examples/sample_pairs.jsonl", "--held-out", "examples/held_out_pairs.jsonl",
            "--base-url", server.base_url, "--model", "m", "--out", tmp_path, "--run-id", "r",
            "--cache", tmp_path / "c.sqlite", "--no-prefect",
            "--set", "model.timeout_s=1.0", "--set", "model.retry_wait_s=0.05",
        )  # fmt: skip
    assert result.returncode == 0, result.stderr
    manifest = json.loads((tmp_path / "r/manifest.json").read_text())
    assert manifest["files"]["failures.jsonl"] == 0
    assert manifest["funnel"]["chains"] == 48
    sources = {json.loads(line)["chain_source"] for line in (tmp_path / "r/01_interpretations.jsonl").open()}
    assert sources == {"field", "think_tags"}


@pytest.mark.parametrize(
    ("number", "exit_code", "words"),
    [(signal.SIGINT, 130, "Error: stopped; run the same"), (signal.SIGTERM, 143, "stopped by SIGTERM; run the same")],
)
def test_a_signal_stops_at_once_and_says_how_to_go_on(tmp_path, number, exit_code, words):
    with ScriptedServer() as server:
        server.hold_after("interpretation", 2)
        command = [
            sys.executable,
            "-m",
            "autorule",
            "extract",
            "examples/sample_pairs.jsonl",
            "--base-url",
            server.base_url,
        ]
        command += ["--model", "m", "--out", str(tmp_path), "--cache", str(tmp_path / "c.sqlite"), "--no-prefect"]
        # Background jobs of a shell inherit an ignored SIGINT; a terminal's do not.
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            wait_until(lambda: server.held > 0, "requests are in flight")
            process.send_signal(number)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == exit_code
    assert words in errors
    assert "interpretation: 0 of 48" in errors  # said when it began, though stderr is no terminal
    (manifest,) = tmp_path.glob("*/manifest.json")
    assert json.loads(manifest.read_text())["status"] == "failed"


def answers_of_a_model(body):
    if body["model"] != "m":
        return Response('{"error": "no such model"}', status_code=404)
    return logprobs(("Yes", -0.1), ("No", -2.5)) if "logprobs" in body else completion("Yes.")


@pytest.mark.long
def test_doctor_asks_real_questions():
    with ScriptedServer(answers_of_a_model) as server:
        good = autorule("doctor", "--base-url", server.base_url, "--model", "m")
        assert good.returncode == 0, good.stdout
        assert f"model: {server.base_url} serves m" in good.stdout
        assert "an answer: came" in good.stdout and "a verdict: came" in good.stdout
        assert "prefect: " in good.stdout
        assert "backend transformers_local: models in this process" in good.stdout
        wrong = autorule("doctor", "--base-url", server.base_url, "--model", "n")
        assert wrong.returncode == 1 and "no such model" in wrong.stdout
        server.answer = lambda body: completion("Yes.")
        mute = autorule("doctor", "--base-url", server.base_url, "--model", "m")
        assert mute.returncode == 1 and "a verdict: none came" in mute.stdout and "top_logprobs" in mute.stdout
        answers = iter([completion(""), logprobs(("Yes", -9.0), ("No", -9.5))])
        server.answer = lambda body: next(answers)
        empty = autorule("doctor", "--base-url", server.base_url, "--model", "m")
        assert empty.returncode == 1 and "an answer: none came" in empty.stdout
        assert "a probability of 0.0002 together, so that no verdict would count" in empty.stdout
        root = server.base_url.removesuffix("/v1")
        lost = autorule("doctor", "--base-url", root, "--model", "m")
        assert lost.returncode == 1 and "most end with /v1" in lost.stdout
    gone = autorule("doctor", "--base-url", server.base_url, "--model", "m")
    assert (gone.returncode, "can't reach" in gone.stdout) == (1, True)


def test_cache_commands(tmp_path):
    cache = tmp_path / "c.sqlite"
    assert (
        autorule("extract", "examples/sample_pairs.jsonl", *SCRIPTED, "--out", tmp_path, "--cache", cache).returncode
        == 0
    )
    stats = autorule("cache", "stats", "--cache", cache)
    assert "48 interpretation" in stats.stdout
    pruned = autorule("cache", "prune", "--max-gb", "0", "--cache", cache)
    assert pruned.returncode == 0, pruned.stderr
    assert "answers: 0" in pruned.stdout


def test_help_and_version():
    assert "extract" in autorule("--help").stdout
    assert autorule("--version").stdout.strip()
