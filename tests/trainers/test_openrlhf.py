"""OpenRLHF's own executor asks the exported function and the running server, and batches what comes back."""

import asyncio
import socket
import subprocess
import sys
import time
import urllib.request

import torch
from openrlhf.utils.agent import SingleTurnAgentExecutor

from tests.trainers.exported import export

PROMPT = "<|im_start|>user\nName a fruit.<|im_end|>\n<|im_start|>assistant\n"


def check(answers):
    """What samples_generator.py and experience.py do with an answer: one number each, the same names in all."""
    assert [answer["rewards"] for answer in answers] == [[0.5], [0.0]]
    assert answers[0]["extra_logs"].keys() == answers[1]["extra_logs"].keys()
    for answer in answers:
        for value in answer["extra_logs"].values():
            assert torch.tensor([value]).numel() == 1


def fetch(executor, method):
    async def both():
        return [
            (await getattr(executor, method)([f"{PROMPT}{text}<|im_end|>\n"], [PROMPT], [""]))[0]
            for text in ("pears", "plums")
        ]

    return asyncio.run(both())


def test_the_local_function(tmp_path):
    folder = export("openrlhf", tmp_path, "Mention pears.", "Mention apples.")
    executor = SingleTurnAgentExecutor(str(folder / "rule_reward.py"))
    check(fetch(executor, "_fetch_rewards_via_func"))


def test_the_server(tmp_path):
    folder = export("openrlhf", tmp_path, "Mention pears.", "Mention apples.")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "autorule", "serve", folder / "rule_set.json", "--settings", folder / "reward.json",
        "--port", str(port),
    ]  # fmt: skip
    process = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.1)
        executor = SingleTurnAgentExecutor([f"http://127.0.0.1:{port}/get_reward"])
        check(fetch(executor, "_fetch_rewards_via_http"))
    finally:
        process.terminate()
        process.wait()
