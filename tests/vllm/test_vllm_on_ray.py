"""Scoring under Prefect's worker with a vLLM engine that stays loaded in an actor of Ray."""

import json

import numpy as np
import pyarrow.parquet as pq

from autorule.manifest import RunManifest
from autorule.prefect_api import call_api
from autorule.rule_sets import dump_rule_set
from autorule.run_folder import MANIFEST, VERDICTS
from tests.conftest import make_rule_set
from tests.integration.prefect_project import ENDS, prefect_in, trigger, wait_for

N_COMPLETIONS = 12
ENGINE = {"backend": "vllm_engine", "max_model_len": 1024}


def test_shards_go_to_an_engine_in_an_actor(tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    rules = make_rule_set("The response should be short.", "The response should name a fruit.")
    (tmp_path / "rules.json").write_text(dump_rule_set(rules), encoding="utf-8")
    rows = [{"prompt": f"Name fruit number {row}.", "completion": "Pear. " * (row + 1)} for row in range(N_COMPLETIONS)]
    (tmp_path / "completions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    config = {
        "completions": str(tmp_path / "completions.jsonl"), "rules": str(tmp_path / "rules.json"),
        "outputs": str(tmp_path / "outputs"), "cache": {"enabled": False}, "shard_size": 4,
    }  # fmt: skip
    engines = {
        "ray": (ENGINE, {"engine": "ray", "workers": 1}),
        "threads": ({"backend": "transformers_local", "device": "cpu"}, {}),
    }
    found = {}
    with prefect_in(project) as up:
        for name, (model, runner) in engines.items():
            settings = {**config, "run_id": name, "model": model, "runner": runner}
            run = trigger(up.port, settings, "score-completions/default")
            state = wait_for(up.port, run, *ENDS, seconds=400)
            assert state["type"] == "COMPLETED", state["message"]
            tasks = call_api(up.port, "task_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
            assert {"verify-0", "verify-1", "verify-2"} <= {task["name"] for task in tasks}
            folder = tmp_path / "outputs" / name
            manifest = RunManifest.model_validate_json((folder / MANIFEST).read_text(encoding="utf-8"))
            assert manifest.funnel.verdicts == 2 * N_COMPLETIONS and not manifest.funnel.verdicts_unscored
            found[name] = pq.read_table(folder / VERDICTS)["p_yes"].to_numpy()
    logits = [np.log(p / (1 - p)) for p in found.values()]
    assert np.corrcoef(*logits)[0, 1] > 0.95  # bfloat16 in the engine, float32 in transformers
