"""Prefect on this machine: a server, a work pool, the deployments and a worker, up and down together.

Everything is on loopback, and its state is in one folder of the project. Prefect itself is only called as a command and
over its API: this module imports nothing of it.
"""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import ValidationError

from autorule.errors import ConfigError, in_words
from autorule.local_prefect.api import HOST, call_api
from autorule.local_prefect.flow_runs import WORKER, mark_dead_runs
from autorule.local_prefect.processes import Process, end, is_alive, process_of
from autorule.local_prefect.setup import HEARTBEAT_S, POOL, LocalPrefectError, prepare
from autorule.records import Record
from autorule.storage import write_text

STATE = Path(".prefect")
"""Prefect's home: database, logs of server and worker, and what runs."""
START_S = 120.0
POLL_S = 0.2


class LocalPrefect(Record):
    """What is up."""

    port: int
    server: Process
    worker: Process

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.port}"


def start(project: Path, port: int = 4200, limit: int = 2, gpus: int | None = None) -> LocalPrefect:
    """Starts server, work pool, limits, automation, deployments and worker, and returns when all are there.

    `limit`: flow runs at once. `gpus`: runs with a model in their process at once; None: as it was, 1 at first.
    Raises ConfigError when the folder has no prefect.yaml, when they are up already, or the port is taken;
    LocalPrefectError when a step fails, with the last lines of its log.
    """
    if not (project / "prefect.yaml").is_file():
        raise ConfigError(f"{project.resolve()} has no prefect.yaml: run this in the project's folder")
    if (up := status(project)) is not None:
        raise ConfigError(f"Prefect is up already at {up.address}; stop it first")
    if (left := _noted(project)) is not None and is_alive(left.worker):
        raise ConfigError("the server is gone, but its worker is still up; end it first: autorule prefect stop")
    with socket.socket() as probe:
        if probe.connect_ex((HOST, port)) == 0:
            raise ConfigError(f"port {port} of {HOST} is taken; give another with --port")
    home = (project / STATE).resolve()
    home.mkdir(parents=True, exist_ok=True)
    environment = environment_of(project, port)
    started: list[Process] = []
    try:
        server = _spawn(["server", "start", "--host", HOST, "--port", str(port)], environment, home / "server.log")
        started.append(server)
        _wait(lambda: _is_healthy(port), server, home / "server.log", "the server")
        mark_dead_runs(port)
        prepare(project, environment, port, gpus)
        worker = _spawn(
            ["worker", "start", "--pool", POOL, "--limit", str(limit), "--name", WORKER],
            environment,
            home / "worker.log",
        )
        started.append(worker)
        _wait(lambda: _has_worker(port), worker, home / "worker.log", "the worker")
        up = LocalPrefect(port=port, server=server, worker=worker)
        write_text(_note(project), up.model_dump_json(indent=2) + "\n")
    except BaseException:
        for process in reversed(started):
            end(process)
        raise
    return up


def stop(project: Path) -> bool:
    """Ends worker and server, in this order, with what they started; whether anything was up."""
    up = _noted(project)
    if up is None:
        return False
    was_up = [end(up.worker)]
    if is_alive(up.server):
        with contextlib.suppress(OSError):  # the next start marks them
            mark_dead_runs(up.port)
    was_up.append(end(up.server))
    _note(project).unlink()
    return any(was_up)


def status(project: Path) -> LocalPrefect | None:
    """What is up; None when the server is not."""
    up = _noted(project)
    return up if up is not None and is_alive(up.server) else None


def _note(project: Path) -> Path:
    return project.resolve() / STATE / "running.json"


def _noted(project: Path) -> LocalPrefect | None:
    """What the last start noted, whether it is still up or not. Raises ConfigError when the note can't be read."""
    note = _note(project)
    try:
        return LocalPrefect.model_validate_json(note.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise ConfigError(
            f"{note} can't be read: {in_words(error)}; end what is left of Prefect by hand, then remove this file"
        ) from error


def environment_of(project: Path, port: int) -> dict[str, str]:
    """For every process that talks to this server, and to no proxy on the way."""
    direct = {name: f"{os.environ.get(name) or 'localhost'},{HOST}" for name in ("no_proxy", "NO_PROXY")}
    return {
        **os.environ,
        **direct,
        "PREFECT_HOME": str((project / STATE).resolve()),
        "PREFECT_API_URL": f"http://{HOST}:{port}/api",
        "PREFECT_SERVER_API_PORT": str(port),  # without it the pages would look for the server at 4200
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_S),
        "AUTORULE_HOME": str(project.resolve()),
    }


def _spawn(arguments: Sequence[str], environment: dict[str, str], log: Path) -> Process:
    """A process in a session of its own: the end of this one, and its Ctrl-C, is not its."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "autorule.local_prefect.interruptible", *arguments],
            env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    return process_of(process.pid)


def _wait(is_there: Callable[[], bool], process: Process, log: Path, name: str) -> None:
    deadline = time.monotonic() + START_S
    while not is_there():
        if not is_alive(process) or time.monotonic() > deadline:
            last = log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise LocalPrefectError(f"{name} did not come up; the end of {log}:\n{last}")
        time.sleep(POLL_S)


def _is_healthy(port: int) -> bool:
    try:
        return call_api(port, "health") is True
    except (OSError, ValueError):
        return False


def _has_worker(port: int) -> bool:
    found = call_api(port, f"work_pools/{POOL}/workers/filter", {})
    return any(worker["status"] == "ONLINE" for worker in found)
