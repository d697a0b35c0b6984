"""A project with Prefect up in it, for tests: started, triggered and asked over its API."""

import shutil
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from autorule import local_prefect
from autorule.local_prefect import LocalPrefect
from autorule.local_prefect.api import call_api
from autorule.local_prefect.flow_runs import WORKER
from autorule.local_prefect.processes import is_alive
from autorule.runs.manifest import RunManifest

ROOT = Path(__file__).parents[2]
CONCURRENCY = 4
ENDS = ("COMPLETED", "FAILED", "CRASHED")
PATIENCE_S = 300
"""For what has no bound of its own: a machine with other work to do is slow."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def prefect_in(folder: Path) -> Iterator[LocalPrefect]:
    """Prefect, up in a folder that gets what a worker needs; at the end nothing of it is left.

    It is started as nohup would, with interrupts ignored, and ends by itself all the same. The worker asks for runs
    every four seconds instead of ten; more often, and SQLite is locked for a minute now and then.
    """
    shutil.copy(ROOT / "prefect.yaml", folder)
    for name in ("flows", "tasks", "examples", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_WORKER_QUERY_SECONDS", "4")
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            up = local_prefect.start(folder, port=free_port())
        finally:
            signal.signal(signal.SIGINT, before)
        try:
            yield up
        finally:
            local_prefect.stop(folder)
    assert not is_alive(up.server) and not is_alive(up.worker)
    assert worker_log(folder).rstrip().endswith(f"Worker '{WORKER}' stopped!"), "it was ended by force"


def worker_log(folder: Path) -> str:
    return (folder / local_prefect.STATE / "worker.log").read_text(encoding="utf-8")


def trigger(port, config, deployment="extract-rules/default"):
    found = call_api(port, f"deployments/name/{deployment}")
    made = call_api(port, f"deployments/{found['id']}/create_flow_run", {"parameters": {"config": config}})
    return made["id"]


def state_of(port, run):
    return call_api(port, f"flow_runs/{run}")["state"]


def wait_for(port, run, *kinds, seconds=PATIENCE_S):
    poll(lambda: state_of(port, run)["type"] in kinds, f"the run is one of {kinds}", seconds)
    return state_of(port, run)


def retry_crashed(port, run):
    """A crashed run goes on until it is completed; the number of tries. The worker may still report the end of the
    first process, and so crash a retry."""
    said = []
    while len(said) < 3:
        again = {"type": "SCHEDULED", "name": "AwaitingRetry"}
        call_api(port, f"flow_runs/{run}/set_state", {"state": again, "force": True})
        state = wait_for(port, run, *ENDS)
        said.append(state["message"])
        if state["type"] != "CRASHED":
            break
    assert state["type"] == "COMPLETED", said
    return len(said)


def poll(condition, what, seconds=PATIENCE_S):
    """As wait_until, but the server that is asked has other work to do."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.5)


def config_for(server, folder, run_id):
    """An extraction from the sample pairs, asked of a scripted server, in five shards."""
    return {
        "pairs": str(ROOT / "examples/sample_pairs.jsonl"),
        "model": {
            "backend": "openai_compatible", "base_url": [server.base_url], "model": "m", "concurrency": CONCURRENCY,
        },
        "outputs": str(folder / "outputs"),
        "cache": {"path": str(folder / "cache.sqlite")},
        "run_id": run_id,
        "shard_size": 10,
    }  # fmt: skip


def artifacts_of(port, run):
    wanted = {"artifacts": {"flow_run_id": {"any_": [run]}}}
    return {artifact["key"]: artifact for artifact in call_api(port, "artifacts/filter", wanted)}


def manifest_of(folder, run_id):
    return RunManifest.model_validate_json((folder / "outputs" / run_id / "manifest.json").read_text(encoding="utf-8"))
