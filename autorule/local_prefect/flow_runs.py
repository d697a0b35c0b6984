"""Flow runs of the worker here whose process is gone: nobody else says so, and they would hold up the next ones."""

from autorule.local_prefect.api import call_api
from autorule.local_prefect.processes import is_gone

WORKER = "local"
"""Name of the worker on this machine, by which its runs are told from those of workers elsewhere."""
UNENDED = ("PENDING", "RUNNING", "CANCELLING")


def mark_dead_runs(port: int) -> int:
    """Marks them Crashed, and Cancelled where they were being cancelled; how many there were.

    For when the worker is down: what it was submitting is gone too. Raises OSError when the server is away.
    """
    wanted = {"flow_runs": {"state": {"type": {"any_": UNENDED}}}}
    n = 0
    for run in call_api(port, "flow_runs/filter", wanted):
        pid = run["infrastructure_pid"]
        is_ours = (run["labels"] or {}).get("prefect.worker.name") == WORKER
        if is_ours and (pid is None or (pid.isdigit() and is_gone(int(pid)))):
            kind = "CANCELLED" if run["state_type"] == "CANCELLING" else "CRASHED"
            state = {"type": kind, "name": kind.title(), "message": "Its process is gone; run it again to go on."}
            call_api(port, f"flow_runs/{run['id']}/set_state", {"state": state, "force": True})
            n += 1
    return n
