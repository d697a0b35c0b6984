"""The exported rule reward in TRL itself: GRPO with both forms, its command line, and DPO on exported preferences."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import trl

from autorule.export import export_rule_set
from autorule.export import training_data as data
from autorule.rewards.settings import RewardSettings
from tests.conftest import make_rule_set
from tests.unit.export.test_folders import load, scored

ROOT = Path(__file__).parents[2]
PROMPTS = [{"prompt": [{"role": "user", "content": f"Name fruit number {i}."}]} for i in range(4)]
SETTINGS = {
    "output_dir": "out", "max_steps": 2, "per_device_train_batch_size": 4, "num_generations": 4,
    "max_completion_length": 8, "report_to": "none", "use_cpu": True, "logging_steps": 1, "save_strategy": "no",
    "disable_tqdm": True,
}  # fmt: skip


@pytest.fixture
def exported(tmp_path):
    """An export with one rule for code and one for the model."""
    rule_set = make_rule_set("Mention fruit.", "The response should be short.")
    short = rule_set.rules[1].model_copy(
        update={"check": {"kind": "count", "of": "words", "at_most": 20}, "aspect": "length"}
    )
    rule_set = type(rule_set).model_validate(
        {**rule_set.model_dump(), "rules": [rule_set.rules[0].model_dump(), short.model_dump(warnings=False)]}
    )
    settings = RewardSettings.model_validate(
        {"model": {"backend": "scripted", "model": "tests.scripts:by_words"}, "cache": {"enabled": False}}
    )
    export_rule_set(rule_set, settings, "trl", tmp_path / "export")
    return tmp_path / "export"


def test_grpo_trains_on_both_forms_and_logs_each_rule(tmp_path, tiny_model, exported, monkeypatch):
    from datasets import Dataset

    module = load(exported, "rule_reward_for_grpo")
    trainer = trl.GRPOTrainer(
        model=tiny_model,
        reward_funcs=[module.rule_reward, module.rule_reward_async, module.rule_reward_length],
        args=trl.GRPOConfig(**SETTINGS | {"output_dir": str(tmp_path / "out")}),
        train_dataset=Dataset.from_list(PROMPTS),
    )
    trainer.train()
    steps = [entry for entry in trainer.state.log_history if "rewards/rule_reward/mean" in entry]
    assert len(steps) == 2
    for entry in steps:
        assert entry["rewards/rule_reward/mean"] == pytest.approx(entry["rewards/rule_reward_async/mean"])
        assert entry["rewards/rule_reward_length/mean"] == entry["rule_reward_length/fraction"] == 1.0
        assert entry["rule_reward/unscored"] == 0.0
        by_rule = [value for name, value in entry.items() if name.startswith("rule_reward/rule/")]
        assert len(by_rule) == 2 and all(0 <= value <= 1 for value in by_rule)


@pytest.mark.long
def test_the_command_line_of_trl_takes_the_export(tmp_path, tiny_model, exported):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in PROMPTS))
    options = {**SETTINGS, "output_dir": str(tmp_path / "out"), "dtype": "float32"}
    flags = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    done = subprocess.run(
        [
            Path(sys.executable).parent / "trl", "grpo", "--reward_funcs", "rule_reward.rule_reward",
            "--model_name_or_path", tiny_model, "--dataset_name", tmp_path / "data", *flags,
        ],
        cwd=exported, capture_output=True, text=True,
        env={**__import__("os").environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "rewards/rule_reward/mean" in done.stdout


def test_dpo_loads_the_preferences(tmp_path, tiny_model):
    from datasets import load_dataset

    path = tmp_path / "preferences.jsonl"
    pairs = [pair for rewards in ((0.0, 1.0), (0.5, 0.25)) for pair in data.preferences(scored(*rewards), 0.0)]
    data.write_jsonl(path, map(data.trl_row, pairs))
    settings = {name: value for name, value in SETTINGS.items() if "generations" not in name and "length" not in name}
    trainer = trl.DPOTrainer(
        model=tiny_model,
        args=trl.DPOConfig(**settings | {"output_dir": str(tmp_path / "out"), "per_device_train_batch_size": 1}),
        train_dataset=load_dataset("json", data_files=str(path), split="train"),
    )
    trainer.train()
    assert trainer.state.global_step == 2


@pytest.mark.long
def test_the_example_trains_and_reports(tmp_path, tiny_model):
    """examples/grpo_trl, two steps on a tiny model."""
    script = ROOT / "examples/grpo_trl/train.py"
    command = [sys.executable, script, "--steps", "2", "--eval-prompts", "2", "--model", tiny_model, "--out", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads((tmp_path / "rules-seed0.json").read_text(encoding="utf-8"))
    assert len(report["fraction"]) == 2 and all(len(values) == 2 for values in report["rules"].values())
    assert len(report["samples"]) == 2 and set(report["before"]) == set(report["after"])
