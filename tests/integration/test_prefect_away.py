"""A Prefect server that is away, or goes away, is one line that says how to do without it."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import prefect
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from autorule.rules.rule_sets import dump_rule_set
from tests.commands import autorule
from tests.conftest import make_rule_set
from tests.integration.prefect_project import free_port

COMMAND = ("score", "c.jsonl", "--rules", "rules.json", "--backend", "scripted", "--model", "tests.scripts:by_words")


def told_with(api, folder, *options, code):
    (folder / "c.jsonl").write_text('{"prompt": "p", "completion": "pears"}\n', encoding="utf-8")
    (folder / "rules.json").write_text(dump_rule_set(make_rule_set("Mention pears.")), encoding="utf-8")
    with temporary_settings({PREFECT_API_URL: api, PREFECT_CLIENT_MAX_RETRIES: 0}):
        return autorule(*COMMAND, *options, cwd=folder, code=code)


class OnlyHealthy(BaseHTTPRequestHandler):
    """Says that it is well and of which version, and hangs up on everything else."""

    version = prefect.__version__

    def do_GET(self):
        if self.path in ("/api/health", "/api/admin/version"):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(self.version).encode())

    do_POST = do_GET

    def log_message(self, *_):
        pass


@contextmanager
def only_healthy(handler=OnlyHealthy):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_server_that_is_away_is_one_line_and_the_run_goes_without_it(tmp_path):
    api = f"http://user:a-password@127.0.0.1:{free_port()}/api"
    told = told_with(api, tmp_path, code=2)
    [line] = told.strip().splitlines()
    assert "can't be reached" in line and "--no-prefect" in line and "a-password" not in line
    assert "1 verdicts (0 unscored)" in told_with(api, tmp_path, "--no-prefect", code=0)


def test_a_server_that_goes_away_is_one_line(tmp_path):
    with only_healthy() as port:
        told = told_with(f"http://127.0.0.1:{port}/api", tmp_path, code=2)
    [line] = told.strip().splitlines()
    assert f"the Prefect server at 127.0.0.1:{port} went away" in line and "--no-prefect" in line


class NoPrefect(OnlyHealthy):
    version = {}


def test_another_server_is_one_line(tmp_path):
    with only_healthy(NoPrefect) as port:
        [line] = told_with(f"http://127.0.0.1:{port}/api", tmp_path, code=2).strip().splitlines()
    assert "may be no Prefect server" in line and "--no-prefect" in line
