"""What a Prefect server on this machine is set up with: work pool, limit, automation, deployments."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autorule.errors import AutoruleError
from autorule.local_prefect.api import call_api, is_there

POOL = "rules-pool"
GPU_LIMIT = "autorule-gpu"
ZOMBIES = "Mark runs whose machine died"
HEARTBEAT_S = 30
"""Prefect's least. A run whose machine died is marked after ZOMBIE_AFTER_S without one."""
ZOMBIE_AFTER_S = 90


class LocalPrefectError(AutoruleError):
    """Prefect could not be started; what was started before is stopped again."""


def prepare(project: Path, environment: dict[str, str], port: int, gpus: int | None) -> None:
    """Work pool, limit, automation and deployments. What is there from before stays, and a schedule that was switched
    on, or off, stays so: prefect.yaml says how it begins. Raises LocalPrefectError when a step fails."""
    if not is_there(port, f"work_pools/{POOL}"):
        _run(["work-pool", "create", POOL, "--type", "process"], project, environment)
    if not is_there(port, f"v2/concurrency_limits/{GPU_LIMIT}"):
        _run(["gcl", "create", GPU_LIMIT, "--limit", str(gpus or 1)], project, environment)
    elif gpus is not None:
        call_api(port, f"v2/concurrency_limits/{GPU_LIMIT}", {"limit": gpus}, "PATCH")
    known = call_api(port, "automations/filter", {})
    if not any(automation["name"] == ZOMBIES for automation in known):
        call_api(port, "automations/", zombie_automation())
    before = _schedules(port)
    # The folder of the project is that of the worker, not that of whoever deploys.
    elsewhere = {name: value for name, value in environment.items() if name != "AUTORULE_HOME"}
    _run(["--no-prompt", "deploy", "--all"], project, elsewhere)
    for name, (path, active) in _schedules(port).items():
        if name in before and before[name][1] != active:
            call_api(port, path, {"active": before[name][1]}, "PATCH")


def _schedules(port: int) -> dict[tuple[str, str], tuple[str, bool]]:
    """(id of the deployment, slug) -> path of the schedule, whether it is on."""
    return {
        (one["id"], schedule["slug"]): (f"deployments/{one['id']}/schedules/{schedule['id']}", schedule["active"])
        for one in call_api(port, "deployments/filter", {})
        for schedule in one["schedules"]
        if schedule["slug"]
    }


def zombie_automation() -> dict[str, Any]:
    """A run that beat once and then neither beats nor ends is marked Crashed (from Prefect's own guide)."""
    ends = ("Completed", "Failed", "Cancelled", "Crashed")
    return {
        "name": ZOMBIES,
        "description": f"Crashed after {ZOMBIE_AFTER_S} s without a heartbeat; then it can be retried.",
        "enabled": True,
        "trigger": {
            "type": "event",
            "posture": "Proactive",
            "match": {"prefect.resource.id": ["prefect.flow-run.*"]},
            "for_each": ["prefect.resource.id"],
            "after": ["prefect.flow-run.heartbeat"],
            "expect": ["prefect.flow-run.heartbeat", *(f"prefect.flow-run.{end}" for end in ends)],
            "threshold": 1,
            "within": ZOMBIE_AFTER_S,
        },
        "actions": [
            {
                "type": "change-flow-run-state",
                "state": "CRASHED",
                "name": "Crashed",
                "message": f"No heartbeat for {ZOMBIE_AFTER_S} s: the process or its machine died.",
            }
        ],
    }


def _run(arguments: Sequence[str], project: Path, environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "prefect", *arguments], cwd=project, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise LocalPrefectError(f"prefect {' '.join(arguments)} failed:\n{(done.stdout + done.stderr)[-2000:]}")
