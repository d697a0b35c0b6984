"""2,000 completions by 25 rules: groups stay together, the tables are whole, a killed run goes on."""

import json
import subprocess
import sys
from pathlib import Path

import pandas
import pytest

from autorule.config.runs import ScoreConfig
from autorule.flows import score_completions as flow_module
from autorule.flows.score_completions import score_completions
from autorule.records import Completion
from autorule.rules.rule_sets import dump_rule_set
from autorule.runs.files import part_path, read_records
from autorule.tasks.preparation import COMPLETIONS
from tests.conftest import make_rule_set

ROOT = Path(__file__).parents[2]
N, K, GROUP = 2000, 25, 7


def config_for(tmp_path):
    completions = tmp_path / "c.jsonl"
    rows = ({"prompt": f"p{i // GROUP}", "completion": f"text {i}", "id": f"c{i}"} for i in range(N))
    completions.write_text("\n".join(map(json.dumps, rows)))
    rules = tmp_path / "rules.json"
    rules.write_text(dump_rule_set(make_rule_set(*(f"The response should have property {k}." for k in range(K)))))
    return ScoreConfig.model_validate(
        {
            "completions": completions,
            "rules": rules,
            "outputs": tmp_path / "out",
            "run_id": "r",
            "cache": {"path": tmp_path / "cache.sqlite"},
            "model": {"backend": "scripted", "model": "tests.scripts:helpful"},
            "shard_size": 300,
        }
    )


@pytest.mark.long
def test_the_tables_are_whole_and_readable_in_one_line(tmp_path):
    manifest = score_completions.fn(config_for(tmp_path))
    folder = tmp_path / "out" / "r"
    verdicts = pandas.read_parquet(folder / "04_verdicts.parquet")
    rewards = pandas.read_parquet(folder / "05_rewards.parquet")
    assert (len(verdicts), len(rewards)) == (N * K, N)
    assert manifest.funnel.verdicts == N * K
    assert rewards.source_id.tolist() == [f"c{i}" for i in range(N)], "in the order of the file"
    assert rewards.groupby("prompt_id").size().max() == GROUP
    matrix = verdicts.pivot(index="completion_id", columns="rule_id", values="p_yes")
    assert matrix.shape == (N, K)
    means = verdicts.assign(yes=verdicts.verdict == "yes").groupby("row").yes.mean()
    assert rewards.set_index("row").fraction.to_dict() == pytest.approx(means.to_dict())


def test_no_group_is_cut_by_a_shard(tmp_path, monkeypatch):
    prompts = []

    def look(run, rule_set, model, config, n_shards):
        for shard in range(n_shards):
            part = read_records(part_path(run.folder, COMPLETIONS, shard), Completion)
            prompts.append({completion.prompt[0].content for completion in part})
        raise KeyboardInterrupt

    monkeypatch.setattr(flow_module, "verify_completions", look)
    with pytest.raises(KeyboardInterrupt):
        score_completions.fn(config_for(tmp_path))
    assert len(prompts) > 5
    assert sum(map(len, prompts)) == len(set.union(*prompts)), "each prompt is in one shard alone"


DIES = """
import os, sys
from pathlib import Path
from autorule.backends import scripted
from tests.integration.test_scoring_at_scale import K, N, config_for
from autorule.flows.score_completions import score_completions

asked, answer = 0, scripted.ScriptedBackend._choose

def counted(self, request, question):
    global asked
    asked += 1
    if asked == N * K // 2:
        os._exit(9)
    return answer(self, request, question)

scripted.ScriptedBackend._choose = counted
score_completions.fn(config_for(Path(sys.argv[1])))
"""


@pytest.mark.long
def test_a_run_that_died_asks_only_for_the_rest(tmp_path):
    ended = subprocess.run([sys.executable, "-c", DIES, str(tmp_path)], cwd=ROOT, capture_output=True)
    assert ended.returncode == 9, ended.stderr.decode()
    manifest = score_completions.fn(config_for(tmp_path))
    usage = manifest.usage["verification"]
    assert manifest.funnel.verdicts == N * K
    assert usage.sent + usage.cached == N * K
    assert N * K // 2 <= usage.sent <= N * K // 2 + 4, "at most what was under way is asked twice"
