"""A reward server that follows the current version of a name, as a real process, while its clients go on."""

import asyncio
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import aiohttp
import pytest

from autorule.registry import RuleSetRegistry
from autorule.storage import write_text
from tests.conftest import make_rule_set
from tests.integration.test_reward_server import DEADLINE_S, call, free_port, no_cache, running

FRUIT = {"v0001": "pears", "v0002": "apples", "v0003": "plums"}
TEXTS = ["pears", "pears and apples", "plums", "apples and plums", "none"]
BODY = {"prompts": ["Name a fruit."] * len(TEXTS), "completions": TEXTS}


@pytest.fixture
def registry(tmp_path):
    own = RuleSetRegistry(tmp_path / "registry", "fruit")
    for fruit in FRUIT.values():
        own.publish(make_rule_set(f"Mention {fruit}."), "me", "a try")
    return own


@contextmanager
def server(registry, *options):
    """A running server that follows the registry; (its address, its process)."""
    port = free_port()
    command = [
        sys.executable, "-m", "autorule", "serve", "--registry", registry.name, "--registry-folder",
        str(registry.folder.parent), "--poll-s", "0.1", "--backend", "scripted", "--model",
        "tests.scripts:by_words_slowly", "--port", str(port), *options,
    ]  # fmt: skip
    with running(command, port) as (url, process):
        yield url, process


def wait_until(url, is_so):
    """The answer of /health once it is so."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        health = call(url, "/health")[1]
        if is_so(health):
            return health
        time.sleep(0.05)
    raise AssertionError(health)


def is_answered_by(answer, version):
    """Whether every completion of an answer was scored by this version alone."""
    return answer["rewards"] == [float(FRUIT[version] in text) for text in TEXTS]


def test_no_request_is_dropped_or_mixed_while_versions_are_switched(registry, tmp_path):
    way = ["v0002", "v0003", "v0001", "v0003", "v0002", "v0001"]
    answers = []

    async def client(session, url, over):
        while not over.is_set():
            async with session.post(f"{url}/score", json=BODY) as reply:
                answers.append((reply.status, reply.headers.get("X-Rule-Set-Version"), await reply.json()))

    async def answered_by(version):
        n, deadline = len(answers), time.monotonic() + DEADLINE_S
        while not any(own == version for _, own, _ in answers[n:]):
            assert time.monotonic() < deadline, f"no answer by {version}"
            await asyncio.sleep(0.01)

    async def run(url):
        over = asyncio.Event()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            clients = [asyncio.create_task(client(session, url, over)) for _ in range(16)]
            try:
                await answered_by("v0001")
                for version in way:
                    await asyncio.to_thread(registry.roll_back, version, "me", "a switch")
                    await answered_by(version)
            finally:
                over.set()
                await asyncio.gather(*clients)

    with server(registry, "--workers", "2", *no_cache(tmp_path)) as (url, process):
        asyncio.run(run(url))
        assert {status for status, _, _ in answers} == {200}
        assert {version for _, version, _ in answers} == set(FRUIT)
        wrong = [(version, answer) for _, version, answer in answers if not is_answered_by(answer, version)]
        assert not wrong, wrong[:3]
        health, page = wait_until(url, lambda found: found["rule_set"]["version"] == way[-1]), call(url, "/metrics")[1]
        sha256 = registry.current().sha256
        assert health["rule_set"] == {"name": "fruit", "version": "v0001", "sha256": sha256}
        assert f'autorule_rule_set{{name="fruit",sha256="{sha256}",version="v0001"}} 1.0' in page
        assert page.count("autorule_rule_set{") == 1
        assert f"autorule_rule_set_switches_total {len(way)}.0" in page
        assert f"autorule_completions_total {float(len(TEXTS) * len(answers))}" in page
        assert "autorule_completions_waiting 0.0" in page
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=DEADLINE_S) == 0


def test_a_broken_version_is_refused_and_the_old_one_goes_on(registry, tmp_path):
    path = registry.folder / "v0002" / "rule_set.json"
    whole = path.read_text()
    with server(registry, *no_cache(tmp_path)) as (url, process):
        registry.roll_back("v0002", "me", "a switch")
        wait_until(url, lambda health: health["rule_set"]["version"] == "v0002")
        registry.roll_back("v0001", "me", "a switch")
        wait_until(url, lambda health: health["rule_set"]["version"] == "v0001")
        write_text(path, whole[: len(whole) // 2])
        pointer = registry.folder / "current.json"
        first = pointer.read_text()
        other = first.replace(registry.current().sha256, published_hash(registry, "v0002")).replace("v0001", "v0002")
        write_text(pointer, other)
        health = wait_until(url, lambda health: health["refused"])
        assert health["refused"]["version"] == "v0002"
        assert "changed since it was published" in health["refused"]["reason"]
        assert health["status"] == "ok" and health["rule_set"]["version"] == "v0001"
        status, answer = call(url, "/score", BODY)
        assert status == 200 and is_answered_by(answer, "v0001")
        assert "autorule_rule_set_refused 1.0" in call(url, "/metrics")[1]
        write_text(path, whole)  # as when the file comes later than the pointer
        health = wait_until(url, lambda health: health["rule_set"]["version"] == "v0002")
        assert health["refused"] is None and is_answered_by(call(url, "/score", BODY)[1], "v0002")
        assert "autorule_rule_set_refused 0.0" in call(url, "/metrics")[1]
        write_text(registry.folder / "history.jsonl", "garbage\n")
        pointer.unlink()
        assert wait_until(url, lambda health: health["refused"])["refused"]["version"] is None
        assert is_answered_by(call(url, "/score", BODY)[1], "v0002")
        process.send_signal(signal.SIGTERM)
        told = process.communicate(timeout=DEADLINE_S)[1]
        assert told.count("fruit v0002 is refused, v0001 stays in use") == 1
        assert "rewards are now those of fruit v0002" in told and "Traceback" not in told


def published_hash(registry, version):
    [found] = [e.sha256 for e in registry.history() if (e.action, e.version) == ("published", version)]
    return found


def test_a_name_or_a_file_is_given_and_the_name_is_known(registry, tmp_path):
    base = [sys.executable, "-m", "autorule", "serve", "--registry-folder", str(registry.folder.parent)]
    for options, message in (
        ((), "give a rule set file, or --registry"),
        (("rules.json", "--registry", "fruit"), "give a rule set file, or --registry"),
        (("--registry", "nuts"), "has no rule set 'nuts'"),
        (("--registry", "../fruit"), "take up to 64"),
    ):
        done = subprocess.run([*base, *options], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 2 and message in " ".join(done.stderr.split()) and "Traceback" not in done.stderr
