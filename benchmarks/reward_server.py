"""The reward server under load: `python benchmarks/reward_server.py [SECONDS]`.

64 clients, open loop, 200 requests a second in all, a scripted verifier of 20 ms. Every request holds a text of its own
and must be answered once, with the reward of that text. Latency goes from the moment at which a request was due.
"""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

RESULTS = Path(__file__).parent / "results" / "reward_server.json"
N_CLIENTS = 64
RATE = 200
VERIFIER_S = 0.02


def verifier() -> Any:
    """Says yes to `even` where the response's number is even, after 20 ms."""
    from autorule.backends.scripted import ScriptedBackend

    class Quiet(list[Any]):
        def append(self, _: Any) -> None:
            """The log of requests is no part of what is measured."""

    def choose(request: Any, _: Any) -> float:
        [number] = re.findall(r"answer (\d+)", request.messages[-1].content)
        return float(int(number) % 2 == 0)

    backend = ScriptedBackend(choice_script=choose, latency_s=VERIFIER_S)
    backend.choice_log = Quiet()
    return backend


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    with tempfile.TemporaryDirectory() as name:
        url, process = start(Path(name))
        try:
            asyncio.run(load(url, 5.0))  # connections and code are warm
            report = asyncio.run(load(url, seconds))
        finally:
            process.terminate()
            process.wait()
    print(json.dumps(report, indent=2))
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")


def start(folder: Path) -> tuple[str, "subprocess.Popen[bytes]"]:
    from autorule.config.stages import RewardConfig, VerificationConfig
    from autorule.prompting import load_prompt
    from autorule.records import Rule
    from autorule.rules.rule_sets import RuleSet, VerificationSpec, dump_rule_set

    config = VerificationConfig()
    spec = VerificationSpec.from_config(config, load_prompt(config.prompt_name))
    rule = Rule(rule_id="even", text="The number should be even.", support=1)
    rules = folder / "rules.json"
    rules.write_text(dump_rule_set(RuleSet(rules=(rule,), verification=spec, reward=RewardConfig())))
    (folder / "reward.json").write_text(json.dumps({"cache": {"enabled": False}}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "autorule", "serve", str(rules), "--settings", str(folder / "reward.json"),
        "--backend", "scripted", "--model", "reward_server:verifier", "--port", str(port),
    ]  # fmt: skip
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)})
    url = f"http://127.0.0.1:{port}"
    while True:
        assert process.poll() is None, "the server ended"
        try:
            urllib.request.urlopen(f"{url}/health", timeout=5)
            return url, process
        except OSError:
            time.sleep(0.1)


async def load(url: str, seconds: float) -> dict[str, Any]:
    n_requests = int(RATE * seconds)
    latencies: list[float] = []
    answers: dict[int, list[float]] = {}
    statuses: dict[int, int] = {}
    sessions = [aiohttp.ClientSession() for _ in range(N_CLIENTS)]
    begun = time.perf_counter() + 0.5

    async def ask(number: int) -> None:
        due = begun + number / RATE
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        body = {"prompts": [f"Prompt {number}"], "completions": [f"answer {number}"]}
        async with sessions[number % N_CLIENTS].post(f"{url}/score", json=body) as reply:
            content = await reply.json()
            latencies.append(time.perf_counter() - due)
            statuses[reply.status] = statuses.get(reply.status, 0) + 1
            answers.setdefault(number, []).extend(content.get("rewards", []))

    await asyncio.gather(*(ask(number) for number in range(n_requests)))
    for session in sessions:
        await session.close()
    right = sum(found == [float(number % 2 == 0)] for number, found in answers.items())
    added = (np.array(latencies) - VERIFIER_S) * 1000
    return {
        "requests": n_requests,
        "clients": N_CLIENTS,
        "requests_per_s": RATE,
        "verifier_ms": VERIFIER_S * 1000,
        "answered_once_and_right": right,
        "statuses": {str(status): n for status, n in statuses.items()},
        "added_ms": {f"p{p}": float(np.percentile(added, p)) for p in (50, 95, 99)},
    }


if __name__ == "__main__":
    main()
