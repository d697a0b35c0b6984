"""One scoring job by threads, Ray and Dask: real clusters of two processes, started by real flow runs."""

import json

import pytest

from autorule import local_prefect
from autorule.manifest import RunManifest
from autorule.rule_sets import dump_rule_set
from autorule.run_folder import MANIFEST, REWARDS, VERDICTS
from tests.conftest import make_rule_set
from tests.integration.prefect_project import ENDS, call_api, prefect_in, trigger, wait_for

pytestmark = pytest.mark.slow
N_COMPLETIONS = 60
SHARD_SIZE = 10
N_WORKERS = 2
SCRIPTED = {"backend": "scripted", "model": "tests.scripts:helpful"}
EMBEDDED = {"backend": "transformers_local", "device": "cpu"}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    (folder / "rules.json").write_text(dump_rule_set(make_rule_set("Mention pears.", "Say thanks.")), encoding="utf-8")
    with (folder / "completions.jsonl").open("w", encoding="utf-8") as file:
        for row in range(N_COMPLETIONS):
            file.write(json.dumps({"prompt": f"question {row}", "completion": f"answer {row * row}"}) + "\n")
    with prefect_in(folder) as up:
        yield folder, up.port


def score(project, run_id, model, runner, **settings):
    """The manifest and the bytes of verdicts and rewards of a run under Prefect's worker."""
    folder, port = project
    config = {
        "completions": str(folder / "completions.jsonl"),
        "rules": str(folder / "rules.json"),
        "outputs": str(folder / "outputs"),
        "run_id": run_id,
        "shard_size": SHARD_SIZE,
        "model": model,
        "cache": {"enabled": False},
        "runner": runner,
        **settings,
    }
    run = trigger(port, config, "score-completions/default")
    state = wait_for(port, run, *ENDS, seconds=240)
    log = folder / local_prefect.STATE / "worker.log"
    assert state["type"] == "COMPLETED", (state["message"], log.read_text(encoding="utf-8")[-4000:])
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


def test_a_model_in_the_process_stays_loaded_in_actors_of_ray(project):
    small = {"shard_size": 30}
    _, _, by_threads = score(project, "model-threads", EMBEDDED, {}, **small)
    _, names, by_actors = score(project, "model-ray", EMBEDDED, {"engine": "ray", "workers": N_WORKERS}, **small)
    assert by_actors == by_threads and names == {"verify-0", "verify-1"}
