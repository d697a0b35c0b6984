"""Prefect for real: a server, a worker and the deployments, runs that complete, are cancelled, and die."""

import os
import signal
import subprocess
from contextlib import contextmanager

import pytest

from autorule import local_prefect
from autorule.errors import ConfigError
from autorule.local_prefect.api import call_api
from autorule.local_prefect.setup import ZOMBIES, zombie_automation
from autorule.rules.rule_sets import dump_rule_set
from tests.conftest import PLANTED_KEY, make_rule_set
from tests.integration.prefect_project import (
    CONCURRENCY,
    PATIENCE_S,
    artifacts_of,
    config_for,
    manifest_of,
    poll,
    retry_crashed,
    trigger,
    wait_for,
)
from tests.integration.scripted_server import ScriptedServer, shown, wait_until

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("prefect")]
CANCELLED_WITHIN_S = 30
MARKED_AFTER_S = 45
"""Instead of ninety: more than the thirty between two heartbeats."""


def test_a_triggered_run_completes_and_shows_itself(prefect, tmp_path):
    folder, port = prefect
    with ScriptedServer() as server:
        config = config_for(server, tmp_path, "whole")
        config["model"]["api_key_env"] = "PLANTED_KEY"
        run = trigger(port, config)
        assert wait_for(port, run, "COMPLETED", "FAILED", "CRASHED")["type"] == "COMPLETED"
        assert server.headers[0]["authorization"] == f"Bearer {PLANTED_KEY}"
    manifest = manifest_of(tmp_path, "whole")
    assert manifest.status == "completed" and manifest.funnel.rows_read == 48
    assert call_api(port, f"flow_runs/{run}")["name"].startswith("sample_pairs · m · 20")
    found = artifacts_of(port, run)
    assert "| rows → pairs | 48 | 48 |" in found["funnel"]["data"]
    assert "leave out everything that was not asked" in found["rules"]["data"]
    assert "03_rule_set.json" in found["rule-set"]["data"] and "report/index.html" in found["report"]["data"]
    assert {found[f"{stage}-progress"]["data"] for stage in ("interpretation", "mining")} == {100.0}
    names = {task["name"] for task in call_api(port, "task_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})}
    assert {"interpret-0", "interpret-4", "mine-0"} <= names
    files = [path for own in (folder / local_prefect.STATE, tmp_path) for path in own.rglob("*") if path.is_file()]
    assert len(files) > 10 and not [path for path in files if PLANTED_KEY.encode() in path.read_bytes()]


def test_a_schedule_fires_and_an_export_is_a_run_too(prefect, tmp_path):
    port = prefect[1]
    rules = tmp_path / "rules.json"
    rules.write_text(dump_rule_set(make_rule_set("Mention pears.")), encoding="utf-8")
    config = {"rules": str(rules), "targets": ["trl", "verl"], "out": str(tmp_path / "exports")}
    deployment = call_api(port, "deployments/name/export-rules/default")["id"]
    schedule = {"schedule": {"interval": 5}, "active": True, "parameters": {"config": config}}
    [made] = call_api(port, f"deployments/{deployment}/schedules", [schedule])
    of_it = {"deployments": {"id": {"any_": [deployment]}}, "flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
    poll(lambda: call_api(port, "flow_runs/filter", of_it), "a scheduled run completes")
    call_api(port, f"deployments/{deployment}/schedules/{made['id']}", method="DELETE")
    assert {path.name for path in (tmp_path / "exports").iterdir()} == {"trl", "verl"}
    assert (tmp_path / "exports/trl/rule_reward.py").is_file()
    # The nightly extraction is off until somebody switches it on.
    [nightly] = call_api(port, "deployments/name/extract-rules/default")["schedules"]
    assert nightly["active"] is False


def test_what_is_up_is_not_started_again(prefect):
    folder, port = prefect
    with pytest.raises(ConfigError, match="Prefect is up already"):
        local_prefect.start(folder, port=port)
    with pytest.raises(ConfigError, match=r"has no prefect\.yaml"):
        local_prefect.start(folder / "flows", port=port)


def test_a_cancelled_run_stops_its_calls_and_can_be_finished(prefect, tmp_path):
    _, port = prefect
    with ScriptedServer() as server:
        server.hold_after("interpretation", 12)
        run = trigger(port, config_for(server, tmp_path, "cancelled"))
        wait_until(lambda: server.held == CONCURRENCY, "requests are under way", PATIENCE_S)
        call_api(port, f"flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}})
        wait_for(port, run, "CANCELLED", seconds=CANCELLED_WITHIN_S)
        # Prefect may say so before the process has let go: an answer now would be one more try of its calls.
        wait_until(lambda: server.in_flight == 0, "the calls of the run have ended", PATIENCE_S)
        server.release()
        n_answered = len(server.answered)
        again = trigger(port, config_for(server, tmp_path, "cancelled"))
        assert wait_for(port, again, "COMPLETED", "FAILED", "CRASHED")["type"] == "COMPLETED"
        asked = [shown(body) for body in server.log]
    assert n_answered >= 12 and manifest_of(tmp_path, "cancelled").status == "completed"
    # What was under way at the end may be asked again, what was committed is not.
    assert len(asked) - len(set(asked)) <= CONCURRENCY


@contextmanager
def marked_sooner(port):
    """The automation that marks runs without a heartbeat, as it was set up but for its time."""
    [ours] = [one for one in call_api(port, "automations/filter", {}) if one["name"] == ZOMBIES]
    as_set_up = zombie_automation()
    shorter = {**as_set_up, "trigger": {**as_set_up["trigger"], "within": MARKED_AFTER_S}}
    call_api(port, f"automations/{ours['id']}", shorter, "PUT")
    yield
    call_api(port, f"automations/{ours['id']}", as_set_up, "PUT")


def test_a_run_whose_machine_died_is_marked_and_retried(prefect, tmp_path):
    folder, port = prefect
    with ScriptedServer() as server:
        server.hold_after("mining", 20)
        with marked_sooner(port):  # not for what comes after: one lost heartbeat would be a silence again
            run = trigger(port, config_for(server, tmp_path, "killed"))
            wait_until(lambda: server.held == CONCURRENCY, "requests are under way", PATIENCE_S)
            # A heartbeat must have been heard: only then is its end a silence. On SQLite, Prefect loses one now and
            # then ("database is locked"); two in a row, hardly ever.
            poll(lambda: n_heartbeats(port, run) >= 2, "the run has two heartbeats")
            kill_all(local_prefect.status(folder).worker.pid)
            server.release()
            try:
                assert wait_for(port, run, "CRASHED", seconds=150)["message"].startswith("No heartbeat for")
                n_before = len(server.log)
            finally:  # the tests after this one need a worker
                local_prefect.stop(folder)
                local_prefect.start(folder, port=port)
        n_tries = retry_crashed(port, run)
        asked = [shown(body) for body in server.log]
    assert manifest_of(tmp_path, "killed").status == "completed" and len(asked) > n_before
    assert len(asked) - len(set(asked)) <= CONCURRENCY * n_tries


def n_heartbeats(port, run):
    beats = {
        "filter": {
            "event": {"name": ["prefect.flow-run.heartbeat"]},
            "resource": {"id": [f"prefect.flow-run.{run}"]},
        }
    }
    return len(call_api(port, "events/filter", beats)["events"])


def kill_all(pid):
    """SIGKILL for a worker and the flow runs that it started."""
    children = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(line.split()[0]): int(line.split()[1]) for line in children.splitlines()}
    family = [pid]
    for own in family:
        family += [child for child, parent in parents.items() if parent == own]
    for own in family:  # the worker first: it would report the end of the others
        os.kill(own, signal.SIGKILL)
