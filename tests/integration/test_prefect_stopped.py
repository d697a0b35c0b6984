"""Prefect stopped, or its server killed, while a run goes on: after the next start neither that nor the next hangs."""

import os
import signal

import pytest

from autorule import local_prefect
from autorule.local_prefect.api import call_api
from tests.integration.prefect_project import (
    CONCURRENCY,
    ENDS,
    PATIENCE_S,
    config_for,
    manifest_of,
    poll,
    state_of,
    trigger,
    wait_for,
)
from tests.integration.scripted_server import ScriptedServer, wait_until

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("prefect")]


@pytest.mark.parametrize("killed", [False, True])
def test_a_run_that_was_under_way_is_marked_and_holds_up_nobody(prefect, tmp_path, killed):
    folder, port = prefect
    with ScriptedServer() as server:
        server.hold_after("interpretation", 6)
        run = trigger(port, config_for(server, tmp_path, "one"))
        wait_until(lambda: server.held == CONCURRENCY, "requests are under way", PATIENCE_S)
        if killed:
            os.killpg(local_prefect.status(folder).server.pid, signal.SIGKILL)
            poll(lambda: local_prefect.status(folder) is None, "the server is gone", 30)
        assert local_prefect.stop(folder)
        server.release()
        local_prefect.start(folder, port=port)
        state = state_of(port, run)
        # A worker that is asked to stop may say of its own runs that they crashed; one without a server can't.
        assert state["type"] == "CRASHED" and (not killed or "Its process is gone" in state["message"])
        other = trigger(port, config_for(server, tmp_path, "other"))
        assert wait_for(port, other, *ENDS)["type"] == "COMPLETED"
        retried = {"state": {"type": "SCHEDULED", "name": "AwaitingRetry"}, "force": True}
        call_api(port, f"flow_runs/{run}/set_state", retried)
        assert wait_for(port, run, *ENDS)["type"] == "COMPLETED"
    assert manifest_of(tmp_path, "one").status == "completed"
