"""The reward server as a real process, with real clients."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest

from autorule.rules.rule_sets import dump_rule_set
from tests.conftest import make_rule_set
from tests.integration.scripted_server import Hang, ScriptedServer, wait_until

DEADLINE_S = 60
TOKEN = "a-token-of-some-length"


@contextmanager
def server(folder, *options, model="tests.scripts:by_words", env=None, port=None):
    """A running server; (its address, its process)."""
    rules = folder / "rules.json"
    rules.write_text(dump_rule_set(make_rule_set("Mention pears.", "Mention apples.")), encoding="utf-8")
    port = port or free_port()
    command = [
        sys.executable, "-m", "autorule", "serve", str(rules), "--backend", "scripted", "--model", model,
        "--port", str(port), *options,
    ]  # fmt: skip
    with running(command, port, env) as (url, process):
        yield url, process


@contextmanager
def running(command, port, env=None):
    """What `command` serves at the port; (its address, its process)."""
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **(env or {})})
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_up(url, process)
        yield url, process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=DEADLINE_S)


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_until_up(url, process):
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read()
        try:
            urllib.request.urlopen(f"{url}/health", timeout=5)
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the server did not come up")


def call(url, path, body=None, headers=None, data=None):
    """(status, answer)."""
    data = json.dumps(body).encode() if body is not None else data
    request = urllib.request.Request(
        f"{url}{path}", data, {"Content-Type": "application/json", **(headers or {})}, method="POST" if data else "GET"
    )
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as reply:
            content = reply.read()
            return reply.status, json.loads(content) if path != "/metrics" else content.decode()
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")


CHATML = "<|im_start|>user\nName a fruit.<|im_end|>\n<|im_start|>assistant\n"


def test_every_dialect_gives_the_same_reward(tmp_path):
    with server(tmp_path, "--settings", settings(tmp_path)) as (url, process):
        texts = ["pears and apples", "pears"]
        status, plain = call(url, "/score", {"prompts": ["Name a fruit."] * 3, "completions": [*texts, "FAIL"]})
        assert status == 200
        assert plain["rewards"] == [1.0, 0.5, None] and "0 of 2 rules" in plain["reasons"][2]
        assert sorted(plain["verdicts"][1].values()) == ["no", "yes"]
        body = {"query": [f"{CHATML}{t}<|im_end|>\n" for t in texts], "prompts": [CHATML] * 2, "labels": ["", ""]}
        status, answer = call(url, "/get_reward", body)
        assert (status, answer["rewards"], answer["scores"]) == (200, [1.0, 0.5], [1.0, 0.5])
        assert all(len(values) == 2 for values in answer["extra_logs"].values())
        assert call(url, "/slime", {"prompt": "Name a fruit.", "response": "pears", "label": None}) == (
            200, {"score": 0.5, "fraction": 0.5},
        )  # fmt: skip
        whole = [f"{CHATML}{text}<|im_end|>" for text in texts]
        assert call(url, "/llama_factory", {"model": "model", "messages": whole}) == (200, {"scores": [1.0, 0.5]})
        status, refused = call(url, "/slime", {"prompt": "Name a fruit.", "response": "FAIL", "label": None})
        assert status == 503 and "no reward" in refused["detail"]
        status, page = call(url, "/metrics")
        assert 'autorule_requests_total{dialect="/score",status="200"} 1.0' in page
        assert "autorule_cache_hits_total 10.0" in page
        assert "autorule_completions_unscored_total 2.0" in page
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=DEADLINE_S) == 0


def settings(folder):
    path = folder / "reward.json"
    path.write_text(json.dumps({"cache": {"path": str(folder / "answers.sqlite")}}))
    return str(path)


def test_what_is_refused(tmp_path):
    options = ("--max-body-mb", "0.01", "--token-env", "REWARD_TOKEN", "--body-s", "0.5", *no_cache(tmp_path))
    with server(tmp_path, *options, env={"REWARD_TOKEN": TOKEN}) as (url, process):
        body = {"prompts": ["Name a fruit."], "completions": ["pears"]}
        assert call(url, "/score", body)[0] == 401
        assert call(url, "/score", body, {"Authorization": "Bearer wrong"})[0] == 401
        assert call(url, "/wrong/score", body)[0] == 401
        known = {"Authorization": f"Bearer {TOKEN}"}
        assert call(url, "/score", body, known)[1]["rewards"] == [0.5]
        assert call(url, f"/{TOKEN}/score", body)[1]["rewards"] == [0.5]
        assert call(url, f"/{TOKEN}/openapi.json")[0] == 200
        assert call(url, "/score", {**body, "completions": ["pears " * 5000]}, known)[0] == 413
        for bad in (b"{", b"[]", b'{"prompts": []}', b'{"prompts": ["a"], "completions": [1]}', b"\xff"):
            assert call(url, "/score", data=bad, headers=known)[0] in (400, 422)
        assert call(url, "/score", {**body, "completions": ["a", "b"]}, known)[0] == 422
        assert call(url, "/score", {**body, "columns": {"rules": [["x"]]}}, known)[0] == 422
        assert call(url, "/get_reward", {"query": ["a"], "prompts": ["b"], "labels": []}, known)[0] == 422
        assert call(url, "/nothing", headers=known)[0] == 404
        head = f"POST /score HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
        assert " 408 " in raw(url, f"{head}Content-Length: 50\r\n\r\n{{")
        chunk = f"{20000:x}\r\n{'a' * 20000}\r\n"
        assert " 413 " in raw(url, f"{head}Transfer-Encoding: chunked\r\n\r\n{chunk}")
        process.send_signal(signal.SIGTERM)
        assert TOKEN not in process.communicate(timeout=DEADLINE_S)[1]


def no_cache(folder):
    path = folder / "no_cache.json"
    path.write_text(json.dumps({"cache": {"enabled": False}}))
    return "--settings", str(path)


def raw(url, text):
    """The first line of what comes back; empty when the connection is closed."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=DEADLINE_S) as connection:
        connection.sendall(text.encode())
        return connection.recv(4096).decode().partition("\r\n")[0]


def test_a_foreign_host_and_a_slow_head_are_turned_away(tmp_path, monkeypatch):
    with server(tmp_path, "--allow-host", "rewards.example") as (url, _):
        assert call(url, "/health", headers={"Host": "evil.example"})[0] == 421
        assert call(url, "/health", headers={"Host": "rewards.example:80"})[0] == 200
        assert raw(url, "GET /health HTTP/1.1\r\nHost: ") == ""


def test_a_public_address_needs_a_token(tmp_path):
    rules = tmp_path / "rules.json"
    rules.write_text(dump_rule_set(make_rule_set("Mention pears.")), encoding="utf-8")
    base = [sys.executable, "-m", "autorule", "serve", str(rules), "--host", "0.0.0.0"]
    refused = subprocess.run(base, capture_output=True, text=True)
    assert refused.returncode == 2 and "--token-env" in refused.stderr
    weak = subprocess.run([*base, "--token-env", "T"], capture_output=True, text=True, env={**os.environ, "T": "short"})
    assert weak.returncode == 2 and "too weak" in weak.stderr and "short" not in weak.stderr


@pytest.mark.long
def test_no_request_that_the_schema_allows_breaks_the_server(tmp_path):
    """schemathesis, with a fixed seed."""
    tool = Path(sys.executable).parent / "schemathesis"
    with server(tmp_path, *no_cache(tmp_path)) as (url, _):
        found = subprocess.run(
            [
                tool, "run", f"{url}/openapi.json", "--checks", "not_a_server_error", "--max-examples", "30",
                "--seed", "1", "--generation-database", "none",
            ],
            capture_output=True, text=True, cwd=tmp_path,
        )  # fmt: skip
        assert found.returncode == 0, found.stdout[-3000:] + found.stderr[-1000:]
        assert "5 selected" in found.stdout or "6 selected" in found.stdout, found.stdout[-2000:]


def test_work_ends_when_its_client_leaves(tmp_path):
    options = ("--workers", "1", *no_cache(tmp_path))
    with server(tmp_path, *options, model="tests.scripts:by_words_slowly") as (url, _):
        host, _, port = url.removeprefix("http://").partition(":")
        body = json.dumps({"prompts": ["a"], "completions": ["pears"]})
        head = (
            f"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        head = head.replace("Host: x", f"Host: 127.0.0.1:{port}")
        for _ in range(30):
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall((head + body).encode())
        assert call(url, "/score", {"prompts": ["b"], "completions": ["pears"]})[1]["rewards"] == [0.5]
        page = call(url, "/metrics")[1]
        assert "autorule_completions_waiting 0.0" in page
        [scored] = [line for line in page.splitlines() if line.startswith("autorule_completions_total ")]
        assert float(scored.split()[1]) < 31


async def many(url, n_clients, n_requests, text):
    """[(status, answer)] of clients that each send their requests one after the other."""

    async def client(session, number):
        found = []
        for index in range(n_requests):
            body = {"prompts": [f"Prompt {number} {index}"], "completions": [text(number, index)]}
            async with session.post(f"{url}/score", json=body) as reply:
                found.append((reply.status, await reply.json()))
        return found

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        found = await asyncio.gather(*(client(session, number) for number in range(n_clients)))
    return found


def test_64_clients_each_get_their_own_answers(tmp_path):
    with server(tmp_path, *no_cache(tmp_path), model="tests.scripts:by_words_slowly") as (url, _):
        words = ("plums", "pears", "pears apples")
        found = asyncio.run(many(url, 64, 20, lambda number, index: words[(number + index) % 3]))
        for number, answers in enumerate(found):
            expected = [((number + index) % 3) / 2 for index in range(20)]
            assert [answer["rewards"] for _, answer in answers] == [[value] for value in expected]
        page = call(url, "/metrics")[1]
        assert 'autorule_requests_total{dialect="/score",status="200"} 1280.0' in page
        assert "autorule_completions_total 1280.0" in page


def test_overload_is_200_or_429(tmp_path):
    options = ("--workers", "1", "--max-waiting", "4", *no_cache(tmp_path))
    with server(tmp_path, *options, model="tests.scripts:by_words_slowly") as (url, _):
        found = asyncio.run(many(url, 64, 5, lambda *_: "pears"))
        statuses = [status for answers in found for status, _ in answers]
        assert len(statuses) == 320
        assert set(statuses) == {200, 429}


def test_a_killed_server_loses_only_what_was_under_way(tmp_path):
    port = free_port()
    with server(tmp_path, *no_cache(tmp_path), model="tests.scripts:by_words_slowly", port=port) as (url, process):

        async def killed():
            outcomes = []

            async def client(session, number):
                for index in range(50):
                    body = {"prompts": [f"{number} {index}"], "completions": ["pears"]}
                    try:
                        async with session.post(f"{url}/score", json=body) as reply:
                            outcomes.append((await reply.json())["rewards"])
                    except (aiohttp.ClientError, ConnectionError):
                        outcomes.append("error")
                        return
                    if len(outcomes) == 40:
                        process.kill()

            async with aiohttp.ClientSession() as session:
                await asyncio.gather(*(client(session, number) for number in range(8)))
            return outcomes

        outcomes = asyncio.run(killed())
        assert outcomes.count("error") == 8  # each client's request under way, as an error
        assert all(outcome == [0.5] for outcome in outcomes if outcome != "error")
    with server(tmp_path, *no_cache(tmp_path), port=port) as (url, _):
        assert call(url, "/score", {"prompts": ["a"], "completions": ["pears"]})[1]["rewards"] == [0.5]


@pytest.mark.parametrize("asleep", ["a server that hangs", "a thread that hangs"])
def test_the_end_comes_within_the_grace_and_whoever_waits_is_told(tmp_path, asleep):
    """The client has its answer, and the process is gone, while the verifier still says nothing."""
    options = ("--grace-s", "2", "--workers", "1", *no_cache(tmp_path))
    with ScriptedServer(lambda _: Hang()) as hanging:
        if asleep == "a server that hangs":
            verifier = ("--backend", "openai_compatible", "--base-url", hanging.base_url, "--model", "m")
        else:
            verifier = ("--backend", "scripted", "--model", "tests.scripts:never_answers")
        rules = tmp_path / "rules.json"
        rules.write_text(dump_rule_set(make_rule_set("Mention pears.")), encoding="utf-8")
        port = free_port()
        command = [sys.executable, "-m", "autorule", "serve", str(rules), *verifier, "--port", str(port), *options]
        with running(command, port) as (url, process), ThreadPoolExecutor(8) as clients:
            body = {"prompts": ["p"], "completions": ["pears"]}
            asked = [clients.submit(call, url, "/score", body)]

            def one_waits():  # two that come at once are one batch, and at work
                if len(asked) < 8:
                    asked.append(clients.submit(call, url, "/score", body))
                return "autorule_completions_waiting 0.0" not in call(url, "/metrics")[1]

            wait_until(one_waits, "one waits")
            process.send_signal(signal.SIGTERM)
            told = process.communicate(timeout=DEADLINE_S)[1]
            assert process.returncode == 0 and "Traceback" not in told
            for one in asked:
                status, answer = one.result()
                assert (status, answer["detail"]) == (503, "the server is ending before this was scored; ask again")


def test_who_still_sends_at_the_end_is_told_and_nothing_is_printed(tmp_path):
    options = ("--grace-s", "2", *no_cache(tmp_path))
    with server(tmp_path, *options) as (url, process):
        host, _, port = url.removeprefix("http://").partition(":")
        head = f"POST /score HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 100\r\n\r\n{{"
        slow = [socket.create_connection((host, int(port)), timeout=DEADLINE_S) for _ in range(3)]
        for connection in slow:
            connection.sendall(head.encode())
        assert call(url, "/health")[0] == 200
        process.send_signal(signal.SIGTERM)
        for connection in slow:
            answer = connection.makefile("rb").read().decode()
            assert " 503 " in answer.partition("\r\n")[0] and "the server is ending" in answer
            connection.close()
        told = process.communicate(timeout=DEADLINE_S)[1].splitlines()
        assert process.returncode == 0 and len(told) == 1 and told[0].startswith("rewards of 2 rules at"), told


@pytest.mark.parametrize("turn", [{"content": [{"type": "image_url"}]}, {"content": None, "tool_calls": [{}]}])
def test_what_no_later_answer_mends_is_final(tmp_path, turn):
    with server(tmp_path, *no_cache(tmp_path)) as (url, _):
        turns = [{"role": "user", **turn}]
        label = {"query": ["p pears"], "prompts": ["p"], "labels": [{"prompt": turns}]}
        for path, body in (("/slime", {"prompt": turns, "response": "pears"}), ("/get_reward", label)):
            status, answer = call(url, path, body)
            assert status == 422 and "can't be shown" in answer["detail"]
        status, plain = call(url, "/score", {"prompts": [turns, "p"], "completions": ["pears", "pears"]})
        assert (status, plain["rewards"]) == (200, [None, 0.5])


def hostile_bodies():
    """Bodies that mean nothing, or more than JSON can say."""
    deep, long = "[" * 20_000 + "]" * 20_000, "9" * 5000
    values = [
        "NaN",
        "Infinity",
        "-Infinity",
        "1e999",
        "-1e999",
        long,
        "null",
        "true",
        "12",
        '"text"',
        "[]",
        "{}",
        "[null]",
        "[[]]",
        "[{}]",
        '[{"role": "user"}]',
        '[{"role": 1, "content": "x"}]',
        '[{"role": "nobody", "content": "x"}]',
        '[{"role": "user", "content": 3}]',
        '[{"role": "user", "content": NaN}]',
        r'["\ud800"]',
        r'"\ud800"',
        r'[{"role": "user", "content": "\udfff"}]',
        deep,
        '["x", "y"]',
        '[{"role": "user", "content": [{"type": "image"}]}]',
        '[{"role": "user", "content": ["\\u0000"]}]',
        '["' + "x" * 100_000 + '"]',
    ]
    for value in values:
        yield "/score", f'{{"prompts": {value}, "completions": ["pears"]}}'
        yield "/score", f'{{"prompts": ["p"], "completions": {value}}}'
        yield "/score", f'{{"prompts": ["p"], "completions": ["pears"], "columns": {value}}}'
        yield "/score", f'{{"prompts": ["p"], "completions": ["pears"], "columns": {{"rules": {value}}}}}'
        yield "/score", f'{{"prompts": ["p"], "completions": ["pears"], "columns": {{"rules": [{value}]}}}}'
        yield "/slime", f'{{"prompt": "p", "response": "pears", "label": {value}}}'
        yield "/slime", f'{{"prompt": {value}, "response": "pears"}}'
        yield "/get_reward", f'{{"query": {value}, "prompts": ["p"], "labels": []}}'
        yield "/get_reward", f'{{"query": ["p pears"], "prompts": ["p"], "labels": {value}}}'
        yield "/get_reward", f'{{"query": ["p pears"], "prompts": ["p"], "labels": [{value}]}}'
        yield "/llama_factory", f'{{"messages": {value}}}'
        yield "/score", value


def test_hostile_bodies_are_refused_or_answered_and_break_nothing(tmp_path):
    bodies = list(hostile_bodies())
    assert len(bodies) >= 300
    with server(tmp_path, *no_cache(tmp_path)) as (url, process):
        for path, body in bodies:
            headers = {"Content-Type": "application/json"}
            request = urllib.request.Request(f"{url}{path}", body.encode("utf-8", "surrogatepass"), headers)
            try:
                with urllib.request.urlopen(request, timeout=DEADLINE_S) as reply:
                    status = reply.status
            except urllib.error.HTTPError as error:
                status = error.code
                json.loads(error.read())
            assert status in (200, 400, 422, 503), (status, path, body[:200])
        assert call(url, "/score", {"prompts": ["p"], "completions": ["pears"]})[0] == 200
        assert process.poll() is None
