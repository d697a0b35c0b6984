"""Prefect on this machine: which processes are ours, and what a crash of one of them leaves."""

import http.server
import json
import signal
import subprocess
import sys
import threading
import urllib.request

import pytest

from autorule import local_prefect
from autorule.errors import ConfigError
from autorule.local_prefect import LocalPrefect, start, status, stop
from autorule.local_prefect.api import call_api
from autorule.local_prefect.processes import Process, end, is_alive, process_of

GONE = Process(pid=2**22 - 1, started="long ago")


@pytest.fixture
def sleeper():
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True) as process:
        yield process_of(process.pid)
        process.kill()


@pytest.fixture
def project(tmp_path):
    (tmp_path / "prefect.yaml").write_text("name: test\n")
    (tmp_path / ".prefect").mkdir()
    return tmp_path


def note(project, server, worker):
    up = LocalPrefect(port=1, server=server, worker=worker)
    (project / ".prefect/running.json").write_text(up.model_dump_json())


@pytest.mark.parametrize(("name", "value"), [("TZ", "Asia/Tokyo"), ("LC_ALL", "ja_JP.UTF-8"), ("PATH", "")])
def test_a_process_is_known_again_from_another_shell(sleeper, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert is_alive(sleeper)
    assert not is_alive(sleeper.model_copy(update={"started": "another time"})) and not is_alive(GONE)


def test_what_a_process_started_is_waited_for(tmp_path):
    """Its leader ends at once; another of its group has something to finish."""
    done = tmp_path / "done"
    finish = (
        f"import signal, sys, time; signal.signal(15, lambda *_: (time.sleep(1), open({str(done)!r}, 'w'), sys.exit()))"
    )
    child = f"{finish}; print('ready', flush=True); time.sleep(600)"
    parent = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", parent], start_new_session=True, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        assert end(process_of(process.pid))
    assert done.exists()


@pytest.mark.parametrize("torn", ["", "{", "[]"])
def test_a_broken_note_of_what_runs_is_named(project, torn):
    (project / ".prefect/running.json").write_text(torn)
    for command in (status, stop, start):
        with pytest.raises(ConfigError, match=r"running\.json"):
            command(project)


def test_a_worker_without_its_server_is_not_forgotten(project, sleeper):
    note(project, server=GONE, worker=sleeper)
    with pytest.raises(ConfigError, match="autorule prefect stop"):
        start(project, port=1)
    assert status(project) is None and is_alive(sleeper)
    assert stop(project) and not is_alive(sleeper) and not stop(project)


def test_a_proxy_of_the_environment_is_not_asked_for_what_is_on_this_machine(project, monkeypatch):
    class Reply(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(self.path).encode())

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Reply) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name in ("http_proxy", "no_proxy", "NO_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:9" if name == "http_proxy" else "example.org")
        port = server.server_address[1]
        monkeypatch.setattr(urllib.request, "_opener", None)  # one that was made before knows no proxy
        assert call_api(port, "health") == "/api/health"
        server.shutdown()
    for name in ("no_proxy", "NO_PROXY"):
        assert local_prefect.environment_of(project, port)[name] == "example.org,127.0.0.1"


def test_a_process_is_interrupted_also_where_its_shell_ignores_interrupts():
    """As with nohup, or a script's `&`: what is started there has SIGINT ignored."""
    child = (
        "import os, signal\n"
        "from autorule.local_prefect.interruptible import take_interrupts\n"
        "take_interrupts()\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "print('not interrupted')\n"
    )
    parent = (
        "import signal, subprocess, sys\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        f"done = subprocess.run([sys.executable, '-c', {child!r}], capture_output=True, text=True)\n"
        "print(done.returncode, done.stdout)\n"
    )
    done = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(-signal.SIGINT)]
