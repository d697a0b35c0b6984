"""One scoring job by threads, Ray and Dask, real clusters of two processes, and the slots that shards wait for."""

import asyncio
import json

import pytest
from starlette.responses import Response

from autorule.config.stages import VerificationConfig
from autorule.local_prefect.api import call_api
from autorule.local_prefect.setup import GPU_LIMIT
from autorule.rules.rule_sets import dump_rule_set
from autorule.runs.files import MANIFEST, REWARDS, VERDICTS
from autorule.runs.manifest import RunManifest
from tests.conftest import make_rule_set
from tests.integration.prefect_project import ENDS, PATIENCE_S, poll, retry_crashed, trigger, wait_for, worker_log
from tests.integration.scripted_server import ScriptedServer, helpful, wait_until

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("prefect")]
N_COMPLETIONS = 60
SHARD_SIZE = 10
N_WORKERS = 2
CANCELLED_WITHIN_S = 30
SCRIPTED = {"backend": "scripted", "model": "tests.scripts:helpful"}


@pytest.fixture(scope="module")
def project(prefect, tmp_path_factory):
    """(folder with a rule set and completions, where runs go, and the port of Prefect)."""
    folder = tmp_path_factory.mktemp("engines")
    any_mass = VerificationConfig(mass_floor=0.0)  # of Yes and No, which a random model hardly says
    rules = make_rule_set("Mention pears.", "Say thanks.", verification=any_mass)
    (folder / "rules.json").write_text(dump_rule_set(rules), encoding="utf-8")
    for name, n in (("completions", N_COMPLETIONS), ("few", 8), ("many", 20_000)):
        rows = [{"prompt": f"question {row}", "completion": f"answer {row * row}"} for row in range(n)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder, prefect[1]


def started(project, run_id, model, runner=None, data="completions", shard_size=SHARD_SIZE):
    """The id of a run under Prefect's worker."""
    folder, port = project
    config = {
        "completions": str(folder / f"{data}.jsonl"),
        "rules": str(folder / "rules.json"),
        "outputs": str(folder / "outputs"),
        "run_id": run_id,
        "shard_size": shard_size,
        "model": model,
        "cache": {"enabled": False},
        "runner": runner or {},
    }
    return trigger(port, config, "score-completions/default")


def score(project, run_id, *settings, **more):
    """The manifest, the names of its tasks, and the bytes of verdicts and rewards, of a run that completed."""
    folder, port = project
    run = started(project, run_id, *settings, **more)
    state = wait_for(port, run, *ENDS)
    assert state["type"] == "COMPLETED", (state["message"], logged(port, run)[-40:])
    tasks = call_api(port, "task_runs/filter", {"flow_runs": {"id": {"any_": [run]}}, "limit": 200})
    made = folder / "outputs" / run_id
    manifest = RunManifest.model_validate_json((made / MANIFEST).read_text(encoding="utf-8"))
    names = {task["name"] for task in tasks if task["name"].startswith("verify-")}
    return manifest, names, [(made / name).read_bytes() for name in (VERDICTS, REWARDS)]


def test_threads_ray_and_dask_give_identical_outputs(project):
    manifest, names, by_threads = score(project, "threads", SCRIPTED, {})
    assert manifest.status == "completed" and manifest.funnel.rewards == N_COMPLETIONS
    assert names == {f"verify-{shard}" for shard in range(N_COMPLETIONS // SHARD_SIZE)}
    for engine in ("ray", "dask"):
        other, other_names, made = score(project, engine, SCRIPTED, {"engine": engine, "workers": N_WORKERS})
        assert made == by_threads, engine
        assert (other.funnel, other.usage, other_names) == (manifest.funnel, manifest.usage, names), engine


def test_a_model_in_the_process_waits_for_a_slot_or_is_loaded_in_actors_of_ray(project, tiny_model):
    _, port = project
    model = {"backend": "transformers_local", "model": tiny_model}
    small = {"data": "few", "shard_size": 4}
    call_api(port, "v2/concurrency_limits/increment", {"names": [GPU_LIMIT], "slots": 1})
    waiting = started(project, "in-process", model, **small)
    poll(lambda: is_logged(port, waiting, f"asking for a slot of {GPU_LIMIT}"), "the run asks for a slot")
    call_api(port, f"flow_runs/{waiting}/set_state", {"state": {"type": "CANCELLING"}})
    wait_for(port, waiting, "CANCELLED", seconds=30)
    assert not is_logged(port, waiting, "holding a slot")
    call_api(port, "v2/concurrency_limits/decrement", {"names": [GPU_LIMIT], "slots": 1})
    _, _, by_threads = score(project, "in-process", model, **small)
    assert call_api(port, f"v2/concurrency_limits/{GPU_LIMIT}")["active_slots"] == 0
    # Two shards, one after the other, in one process of the cluster.
    _, names, by_actor = score(project, "in-actor", model, {"engine": "ray", "workers": 1}, **small)
    assert by_actor == by_threads and names == {"verify-0", "verify-1"}
    ray = {"engine": "ray", "workers": 1}
    longer = started(project, "cancelled-actor", model, ray, data="many", shard_size=20_000)
    poll(lambda: "verify-0" in running_tasks(port, longer), "a shard is under way")
    call_api(port, f"flow_runs/{longer}/set_state", {"state": {"type": "CANCELLING"}})
    wait_for(port, longer, "CANCELLED", seconds=CANCELLED_WITHIN_S)


def test_shards_share_the_slots_of_a_server(project):
    _, port = project
    at_once = Counted()
    with ScriptedServer(at_once.answer) as server:
        address = server.base_url.removeprefix("http://").removesuffix("/v1")
        limit = {"name": f"autorule-endpoint-{address}", "limit": 1, "active": True}
        call_api(port, "v2/concurrency_limits/", limit)
        model = {"backend": "openai_compatible", "base_url": [server.base_url], "model": "m", "concurrency": 64}
        manifest, _, _ = score(project, "limited", model, shard_size=20)
        assert manifest.funnel.verdicts == 2 * N_COMPLETIONS
        with_limit, at_once.most = at_once.most, 0
        call_api(port, f"v2/concurrency_limits/{limit['name']}", {"active": False}, "PATCH")
        score(project, "unlimited", model, shard_size=20)
    assert with_limit <= 40 < at_once.most  # twenty completions by two rules are one shard


@pytest.mark.parametrize("engine", ["ray", "dask"])
def test_a_run_on_a_cluster_is_cancelled_at_once(project, engine):
    folder, port = project
    with ScriptedServer() as server:
        server.hold_after("verification", 8)
        model = {"backend": "openai_compatible", "base_url": [server.base_url], "model": "m", "concurrency": 4}
        run = started(project, f"cancelled-{engine}", model, {"engine": engine, "workers": N_WORKERS})
        wait_until(lambda: server.held >= 4, "requests are under way", PATIENCE_S)
        call_api(port, f"flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}})
        wait_for(port, run, "CANCELLED", seconds=CANCELLED_WITHIN_S)
        server.release()
    manifest = RunManifest.model_validate_json((folder / f"outputs/cancelled-{engine}" / MANIFEST).read_text())
    assert manifest.status == "failed" and manifest.message.startswith(("TerminationSignal", "SystemExit: 15"))


class Counted:
    """Answers slowly, and knows how many were asked at once."""

    def __init__(self):
        self.now = self.most = 0

    async def answer(self, body):
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.2)
        self.now -= 1
        return helpful(body)


def running_tasks(port, run):
    wanted = {"flow_runs": {"id": {"any_": [run]}}, "task_runs": {"state": {"type": {"any_": ["RUNNING"]}}}}
    return {task["name"] for task in call_api(port, "task_runs/filter", wanted)}


def logged(port, run):
    return [line["message"] for line in call_api(port, "logs/filter", {"logs": {"flow_run_id": {"any_": [run]}}})]


def is_logged(port, run, text):
    return any(text in message for message in logged(port, run))


def test_a_shard_whose_disk_fails_is_tried_again(project):
    _, port = project
    run = started(project, "disk", {"backend": "scripted", "model": "tests.scripts:disk_fails_once"}, data="few")
    assert wait_for(port, run, *ENDS)["type"] == "COMPLETED"
    tasks = call_api(port, "task_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
    assert {task["name"]: task["run_count"] for task in tasks if task["name"] == "verify-0"} == {"verify-0": 2}


def test_a_retry_in_prefect_goes_on_in_the_folder_of_the_run(project, prefect):
    folder, port = project
    with ScriptedServer(lambda body: Response("later", status_code=418)) as server:
        model = {"backend": "openai_compatible", "base_url": [server.base_url], "model": "m"}
        run = started(project, None, model)
        name = call_api(port, f"flow_runs/{run}")["name"]
        assert wait_for(port, run, *ENDS)["type"] == "FAILED"
        # A run that comes again while its process is still there would end Prefect's worker.
        exited = f"Process for flow run '{name}' exited"
        poll(lambda: exited in worker_log(prefect[0]), "the worker saw the end of its process")
        [made] = (folder / "outputs").glob("*-completions-*")
        server.answer = helpful
        retry_crashed(port, run)
    assert list((folder / "outputs").glob("*-completions-*")) == [made]
    manifest = RunManifest.model_validate_json((made / MANIFEST).read_text(encoding="utf-8"))
    assert manifest.status == "completed" and manifest.run_id == made.name
