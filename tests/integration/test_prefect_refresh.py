"""A refresh as a worker runs it, from its deployment, and what keeps two of them apart."""

import json
import os
import re
from pathlib import Path

import pytest

from autorule import local_prefect
from autorule.local_prefect.api import call_api
from autorule.local_prefect.setup import GPU_LIMIT, prepare
from autorule.registry import RuleSetRegistry
from tests.conftest import make_rule_set
from tests.integration.prefect_project import PATIENCE_S, artifacts_of, poll, state_of, trigger, wait_for
from tests.integration.scripted_server import ScriptedServer, helpful, logprobs, shown, stage_of, wait_until
from tests.integration.test_refresh import write_pairs

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("prefect")]
ROOT = Path(__file__).parents[2]
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
HELD_BACK = "AwaitingConcurrencySlot"


@pytest.fixture
def folder(tmp_path):
    """Pears are preferred; the current set asks for plums."""
    write_pairs(tmp_path, 300)
    RuleSetRegistry(tmp_path / "registry", "fruit").publish(make_rule_set("Mention plums."), "me", "by hand")
    return tmp_path


def fruit(body):
    """Mines a rule on pears and one on apples; a rule is satisfied where its fruit is in the conversation."""
    text = shown(body)
    if stage_of(body) == "verification":
        conversation, rule = text.rsplit("Rule:", 1)
        [word] = re.findall(r"mention (\w+)\.", rule, re.IGNORECASE)
        return logprobs(*((("Yes", -0.1), ("No", -2.5)) if word in conversation else (("No", -0.1), ("Yes", -2.5))))
    if "logprobs" in body:
        return logprobs(("A", -0.7), ("B", -0.7))
    if stage_of(body) == "mining":
        rules = [f"The response should mention {word}." for word in ("pears", "apples")]
        return {**helpful(body), **answer(json.dumps({"rules": rules}))}
    return helpful(body)


def answer(text):
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    return {"choices": [choice]}


def config_for(server, folder, run_id):
    return {
        "name": "fruit",
        "registry": str(folder / "registry"),
        "held_out": str(folder / "held_out.jsonl"),
        "audit_prompts": 0,
        "extraction": {
            "pairs": str(folder / "mined.jsonl"), "outputs": str(folder / "outputs"), "run_id": run_id,
            "cache": {"path": str(folder / "cache.sqlite")},
            "model": {
                "backend": "openai_compatible", "base_url": [server.base_url], "model": "m", "concurrency": 8,
            },
        },
    }  # fmt: skip


def refresh(port, server, folder, run_id):
    return trigger(port, config_for(server, folder, run_id), "refresh-rules/default")


def test_refresh_runs_under_a_worker(prefect, folder):
    _, port = prefect
    with ScriptedServer(fruit) as server:
        run = refresh(port, server, folder, "whole")
        assert wait_for(port, run, *ENDED)["type"] == "COMPLETED"
    registry = RuleSetRegistry(folder / "registry", "fruit")
    assert [rule.text for rule in registry.load().rules] == ["The response should mention pears."]
    last = registry.history()[-1]
    assert (last.action, last.version, last.decision.look, last.run) == ("promoted", "v0002", 1, "whole")
    told = artifacts_of(port, run)["promotion"]["data"]
    assert "fruit v0002: promoted" in told and "look 1 on this data" in told
    assert call_api(port, f"flow_runs/{run}")["name"].startswith("mined · m · 20")
    wanted = {"flow_runs": {"parent_flow_run_id": {"any_": [run]}}}
    assert [own["state_type"] for own in call_api(port, "flow_runs/filter", wanted)] == ["COMPLETED"] * 4


def test_a_second_refresh_waits_for_the_first(prefect, folder):
    _, port = prefect
    with ScriptedServer(fruit) as server:
        server.hold_after("interpretation", 2)
        first = refresh(port, server, folder, "first")
        wait_until(lambda: server.held, "the first asks", PATIENCE_S)
        second = refresh(port, server, folder, "second")
        poll(lambda: state_of(port, second)["name"] == HELD_BACK, "the second is held back")
        assert state_of(port, first)["type"] == "RUNNING" and not (folder / "outputs/second-extraction").exists()
        server.release()
        assert wait_for(port, first, *ENDED)["type"] == "COMPLETED"
        assert wait_for(port, second, *ENDED)["type"] == "COMPLETED"
    one, other = (call_api(port, f"flow_runs/{run}") for run in (first, second))
    assert other["start_time"] >= one["end_time"]
    history = RuleSetRegistry(folder / "registry", "fruit").history()
    assert [event.run for event in history if event.action == "promoted"] == [None, "first"]
    assert "current already" in artifacts_of(port, second)["promotion"]["data"]


def test_what_was_switched_on_stays_on_when_prefect_is_set_up_again(prefect):
    folder, port = prefect
    deployment = call_api(port, "deployments/name/extract-rules/default")
    [step] = deployment["pull_steps"]
    assert step["prefect.deployments.steps.set_working_directory"]["directory"] == "{{ $AUTORULE_HOME }}"
    [nightly] = deployment["schedules"]
    path = f"deployments/{deployment['id']}/schedules/{nightly['id']}"
    call_api(port, path, {"active": True}, "PATCH")
    try:
        prepare(folder, {**os.environ, **local_prefect.environment_of(folder, port)}, port, 3)
        [nightly] = call_api(port, "deployments/name/extract-rules/default")["schedules"]
        assert nightly["active"] is True
        assert call_api(port, f"v2/concurrency_limits/{GPU_LIMIT}")["limit"] == 3
    finally:
        path = f"deployments/{deployment['id']}/schedules/{nightly['id']}"
        call_api(port, path, {"active": False}, "PATCH")
        call_api(port, f"v2/concurrency_limits/{GPU_LIMIT}", {"limit": 1}, "PATCH")
