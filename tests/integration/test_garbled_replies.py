"""Replies that are none, one kind after the other: each costs its own question, and nothing else.

Counted at the server: no verdict is invented, no completion is lost without a reason of its own, nothing that was
answered is asked again; and the server's key, which the replies quote, is nowhere.
"""

import json
import math
import re
import signal
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from autorule.rewards import RuleReward
from autorule.rules.rule_sets import dump_rule_set
from autorule.runs.files import FAILURES, VERDICTS
from autorule.verification.verdict_tables import read_verdicts
from tests.commands import autorule
from tests.conftest import PLANTED_KEY, make_rule_set
from tests.garbled import kinds, reply_of
from tests.integration.scripted_server import ScriptedServer, logprobs, shown
from tests.integration.test_reward_server import call, free_port, running
from tests.integration.test_token_scoring_faults import token_answer
from tests.scripts import digest

KINDS = kinds(PLANTED_KEY)
NAMES = sorted(KINDS)
RULES = make_rule_set("Mention fruit.")
SHARES = (5, 30, 100)


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("PLANTED_KEY", PLANTED_KEY)


def texts_for(share):
    """Texts that the server answers with a fault, whose name they hold, in `share` of a hundred; the rest are sound."""
    names = NAMES if share > 5 else NAMES[:: len(NAMES) // 20]
    n_sound = len(names) * (100 - share) // share
    return [f"fault <{name}>" for name in names] + [f"sound answer {number}" for number in range(n_sound)]


def fault_of(text):
    found = re.search(r"fault <(.*?)>", text)
    return found and found[1]


def answer(body):
    """P(yes) of a sound answer is 0.9 or 0.1."""
    text = shown(body)
    if (name := fault_of(text)) is not None:
        return reply_of(KINDS[name])
    yes = digest(re.search(r"sound answer \d+", text)[0]) % 2
    return logprobs(("Yes", math.log(0.9 if yes else 0.1)), ("No", math.log(0.1 if yes else 0.9)))


def settings_for(server):
    return {
        "backend": "openai_compatible",
        "base_url": server.base_url,
        "model": "m",
        "max_retries": 1,
        "retry_wait_s": 0.01,
        "server_wait_s": 0.05,
        "api_key_env": "PLANTED_KEY",
    }


def tries(text):
    """The most: one more after a fault that may pass; while a server is away, as many as fit between the waits."""
    return 4 if fault_of(text) in ("status 502", "status 503", "status 504") else 2


def sound_p_yes(text):
    return 0.9 if digest(text) % 2 else 0.1


def asked_about(server):
    return Counter(text for body in server.log for text in re.findall(r"fault <.*?>|sound answer \d+", shown(body)))


def test_there_are_kinds_enough():
    assert len(KINDS) >= 80


@pytest.mark.parametrize("share", SHARES)
def test_a_reward_function_loses_only_what_was_garbled(share, caplog):
    texts = texts_for(share)
    with ScriptedServer(answer) as server:
        reward = RuleReward(RULES, settings_for(server), cache={"enabled": False})
        scored = reward.score(["Name a fruit."] * len(texts), texts)
        asked = asked_about(server)
    for text, one in zip(texts, scored, strict=True):
        [verdict] = one.verdicts
        if fault_of(text) is None:
            assert verdict.p_yes == pytest.approx(sound_p_yes(text)) and asked[text] == 1, text
        else:
            assert (verdict.verdict, verdict.p_yes, one.reward) == (None, None, None), text
            assert verdict.failure.message and asked[text] <= tries(text), text
            assert PLANTED_KEY[:14] not in verdict.failure.message
            assert one.reason
    assert PLANTED_KEY[:14] not in caplog.text and "Traceback" not in caplog.text


@pytest.mark.parametrize("share", SHARES)
def test_a_scoring_run_loses_only_what_was_garbled(tmp_path, share):
    texts = texts_for(share)
    rows = [{"prompt": "Name a fruit.", "completion": text} for text in texts]
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (tmp_path / "rules.json").write_text(dump_rule_set(RULES), encoding="utf-8")
    with ScriptedServer(answer) as server:
        model = [
            f"--set=model.{name}={value}"
            for name, value in settings_for(server).items()
            if name.endswith(("_s", "retries"))
        ]
        for _ in range(2):  # the second run asks only for what has no verdict
            told = autorule(
                "score",
                "c.jsonl",
                "--rules",
                "rules.json",
                "--base-url",
                server.base_url,
                "--model",
                "m",
                "--no-prefect",
                "--api-key-env",
                "PLANTED_KEY",
                "--out",
                "runs",
                "--cache",
                "cache.sqlite",
                *model,
                cwd=tmp_path,
                code=3 if share == 100 else 0,
            )
        asked = asked_about(server)
    assert "Traceback" not in told
    assert all(asked[text] == 1 for text in texts if fault_of(text) is None), "nothing that was answered is asked again"
    for run in (tmp_path / "runs").iterdir():
        if share < 100:
            verdicts = list(read_verdicts(run / VERDICTS))
            found = {texts[one["row"] - 1]: (one["p_yes"], one["unscored_reason"]) for one in verdicts}
            assert len(found) == len(texts)
            for text, (p_yes, reason) in found.items():
                is_sound = fault_of(text) is None
                assert p_yes == (pytest.approx(sound_p_yes(text)) if is_sound else None), text
                assert (reason is None) == is_sound
        assert (run / FAILURES).is_file()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if PLANTED_KEY[:14].encode() in path.read_bytes()]


@pytest.mark.parametrize("share", SHARES)
def test_a_reward_server_loses_only_what_was_garbled(tmp_path, share):
    texts = texts_for(share)
    settings = tmp_path / "reward.json"
    (tmp_path / "rules.json").write_text(dump_rule_set(RULES), encoding="utf-8")
    with ScriptedServer(answer) as verifier:
        settings.write_text(json.dumps({"model": settings_for(verifier), "cache": {"enabled": False}}))
        port = free_port()
        command = [sys.executable, "-m", "autorule", "serve", str(tmp_path / "rules.json"), "--port", str(port)]
        with running([*command, "--settings", str(settings)], port) as (url, process):

            def ask(text):
                return call(url, "/score", {"prompts": ["Name a fruit."], "completions": [text]})

            with ThreadPoolExecutor(32) as clients:
                answers = list(clients.map(ask, texts))
            process.send_signal(signal.SIGTERM)
            told = process.communicate()[1]
        asked = asked_about(verifier)
    for text, (status, reply) in zip(texts, answers, strict=True):
        assert status == 200, (text, reply)
        if fault_of(text) is None:
            assert reply["rewards"] == [float(sound_p_yes(text) > 0.5)] and asked[text] == 1, text
        else:
            assert reply["rewards"] == [None] and reply["reasons"][0] and asked[text] <= tries(text), text
            assert list(reply["verdicts"][0].values()) == [None], text
    assert PLANTED_KEY[:14] not in json.dumps(answers) + told and "Traceback" not in told


TOKEN_FAULTS = [name for name in NAMES if not name.startswith(("logprob", "finish_reason")) and "token" not in name]


@pytest.mark.parametrize("share", SHARES)
def test_requests_in_token_ids_lose_only_what_was_garbled(share):
    from autorule.backends.embedded import embedded_folder

    texts = [f"text {number}" for number in range(150)]
    faults = {}

    def answer_tokens(path, body):
        if len(body["prompt"]) == 1 and len(body["prompt"][0]) == 1:
            return token_answer(path, body)  # the probe
        number = digest(json.dumps(body["prompt"]))
        if number % 100 >= share:
            return token_answer(path, body)
        faults[json.dumps(body["prompt"])] = name = TOKEN_FAULTS[number // 100 % len(TOKEN_FAULTS)]
        return reply_of(KINDS[name])

    def score(server):
        model = {**settings_for(server), "tokenizer": str(embedded_folder())}
        return RuleReward(RULES, model, cache={"enabled": False}).score(["Name a fruit."] * len(texts), texts)

    with ScriptedServer(answer_tokens=token_answer) as server:
        sound = score(server)
    with ScriptedServer(answer_tokens=answer_tokens) as server:
        scored = score(server)
        asked = Counter(json.dumps(body["prompt"]) for _, body in server.token_log)
        assert not server.log, "nothing went over chat"
    assert all(n == 1 for prompt, n in asked.items() if prompt not in faults)
    lost = [one for one in scored if one.verdicts[0].p_yes is None]
    assert len(lost) == len(faults) > 0
    assert all(one.verdicts[0].failure is not None for one in lost)
    kept = [
        (one.verdicts[0].p_yes, was.verdicts[0].p_yes)
        for one, was in zip(scored, sound, strict=True)
        if one not in lost
    ]
    assert all(one == was for one, was in kept)
