"""Scoring under Prefect's worker with a vLLM engine that stays loaded in an actor of Ray."""

import json

import pyarrow.parquet as pq
import pytest

from autorule.config.runs import ScoreConfig
from autorule.flows.score_completions import score_completions
from autorule.local_prefect.api import call_api
from autorule.rules.rule_sets import dump_rule_set
from autorule.runs.files import MANIFEST, VERDICTS
from autorule.runs.manifest import RunManifest
from tests.conftest import make_rule_set
from tests.integration.prefect_project import ENDS, prefect_in, trigger, wait_for
from tests.vllm.conftest import EAGER

N_COMPLETIONS = 12


def test_shards_go_to_an_engine_in_an_actor(tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    rules = make_rule_set("The response should be short.", "The response should name a fruit.")
    (tmp_path / "rules.json").write_text(dump_rule_set(rules), encoding="utf-8")
    answers = (
        "Pear.",
        "I can't say.",
        "1. First.\n2. Second.",
        "A long story about a pear that fell from a tree. " * 9,
    )
    rows = [{"prompt": f"Name fruit {row}.", "completion": answers[row % 4]} for row in range(N_COMPLETIONS)]
    (tmp_path / "completions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    common = {
        "completions": str(tmp_path / "completions.jsonl"), "rules": str(tmp_path / "rules.json"),
        "outputs": str(tmp_path / "outputs"), "cache": {"enabled": False}, "shard_size": 4,
        "model": {"backend": "vllm_engine", "dtype": "float32", "max_model_len": 1024, "engine_args": EAGER},
    }  # fmt: skip
    with prefect_in(project) as up:
        config = {**common, "run_id": "ray", "runner": {"engine": "ray", "workers": 1}}
        run = trigger(up.port, config, "score-completions/default")
        state = wait_for(up.port, run, *ENDS, seconds=400)
        assert state["type"] == "COMPLETED", state["message"]
        tasks = call_api(up.port, "task_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
        assert {"verify-0", "verify-1", "verify-2"} <= {task["name"] for task in tasks}
    score_completions.fn(ScoreConfig.model_validate({**common, "run_id": "here"}))
    found = []
    for name in ("ray", "here"):
        folder = tmp_path / "outputs" / name
        manifest = RunManifest.model_validate_json((folder / MANIFEST).read_text(encoding="utf-8"))
        assert manifest.funnel.verdicts == 2 * N_COMPLETIONS and not manifest.funnel.verdicts_unscored
        found.append(pq.read_table(folder / VERDICTS)["p_yes"].to_numpy())
    assert found[0] == pytest.approx(found[1], abs=0.005)  # what is asked together changes last bits
