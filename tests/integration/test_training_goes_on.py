"""What a training run does around a reward must not cost rewards: forks, broken caches, columns of any kind."""

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from autorule.backends import forgiving
from autorule.errors import ConfigError
from autorule.rewards import RuleReward
from tests.conftest import make_rule_set
from tests.integration.scripted_server import ScriptedServer

ROOT = Path(__file__).parents[2]
N_FORKS = 10
TRAINER = """
import multiprocessing, os, sys
import datasets, torch.utils.data
from autorule.rewards import RuleReward

datasets.disable_progress_bars()

rules, base_url, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
model = {"backend": "openai_compatible", "model": "m", "base_url": base_url, "timeout_s": 20, "max_retries": 0}
reward = RuleReward(rules, model, cache={"path": sys.argv[4]})


def step(name):
    rewards = reward(prompts=["p"] * 4, completions=[f"{name} {i}" for i in range(4)])
    assert all(isinstance(one, float) for one in rewards), (name, rewards)


def in_child():
    step("child")


def fork(target):
    child = multiprocessing.get_context("fork").Process(target=target)
    child.start()
    child.join()
    assert child.exitcode == 0


def load_data():
    loader = torch.utils.data.DataLoader(list(range(8)), num_workers=2, multiprocessing_context="fork")
    assert len(list(loader)) == 8


def map_data():
    rows = datasets.Dataset.from_dict({"x": list(range(8))})
    assert rows.map(lambda row: {"y": row["x"] + 1}, num_proc=4, load_from_cache_file=False)["y"][0] == 1


ways = (lambda: fork(int), lambda: fork(in_child), load_data, map_data)
step("first")
for way in ways:
    for number in range(n):
        way()
        step(f"after {ways.index(way)} {number}")
if (pid := os.fork()) == 0:
    step("a child that ends as a process does")
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
step("last")
print("done")
"""


def test_forks_between_two_reward_calls_change_nothing(tmp_path):
    from autorule.rules.rule_sets import dump_rule_set

    rules = tmp_path / "rules.json"
    rules.write_text(dump_rule_set(make_rule_set("Mention pears.", "Be short.")), encoding="utf-8")
    with ScriptedServer() as server:
        command = [sys.executable, "-c", TRAINER, rules, server.base_url, str(N_FORKS), tmp_path / "cache.sqlite"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout, done.stderr) == ("done\n", ""), done.stderr


@pytest.mark.parametrize("broken", ["a folder", "beneath a file", "no database"])
def test_a_cache_that_can_not_be_used_costs_the_cache_and_one_warning(tmp_path, caplog, monkeypatch, broken):
    monkeypatch.setattr(forgiving, "_told", set())
    path = tmp_path / "cache.sqlite"
    if broken == "a folder":
        path.mkdir()
    elif broken == "beneath a file":
        path.write_text("")
        path = path / "cache.sqlite"
    else:
        path.write_bytes(b"this is no database" * 1000)
    model = {"backend": "scripted", "model": "tests.scripts:by_words"}
    reward = RuleReward(make_rule_set("Mention pears."), model, cache={"path": str(path)})
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert reward(prompts=["p"] * 2, completions=["pears", "plums"]) == [1.0, 0.0]
    assert len([record for record in caplog.records if "without the cache" in record.message]) == 1


def test_a_cache_that_breaks_between_two_steps_costs_the_cache_alone(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(forgiving, "_told", set())
    model = {"backend": "scripted", "model": "tests.scripts:by_words"}
    reward = RuleReward(make_rule_set("Mention pears."), model, cache={"path": str(tmp_path / "cache.sqlite")})
    assert reward(prompts=["p"], completions=["pears"]) == [1.0]

    def full(*_):
        raise ConfigError("cache file can't be written: database or disk is full")

    monkeypatch.setattr("autorule.backends.answer_store.AnswerStore._write", full)
    with caplog.at_level(logging.WARNING):
        assert reward(prompts=["p"] * 3, completions=["pears too", "plums", "apples"]) == [1.0, 0.0, 0.0]
    assert len([record for record in caplog.records if "disk is full" in record.message]) == 1


def columns_of(values):
    import datasets
    import pandas as pd

    yield "tuple", tuple(values)
    yield "array of objects", np.array([*values, None], dtype=object)[:-1]
    yield "array", np.array(values)
    yield "Series", pd.Series(values, index=[7, 9])
    yield "Column", datasets.Dataset.from_dict({"rules": values})["rules"]


def test_a_column_counts_whatever_sequence_it_is():
    rules = make_rule_set("Mention pears.", "Mention apples.")
    reward = RuleReward(rules, {"backend": "scripted", "model": "tests.scripts:by_words"}, cache={"enabled": False})
    named = [[rules.rules[0].rule_id], [rules.rules[1].rule_id]]
    texts = {"prompts": ["p", "p"], "completions": ["pears", "pears"]}
    assert reward(**texts, rules=named) == [1.0, 0.0]
    for kind, column in columns_of(named):
        assert reward(**texts, rules=column) == [1.0, 0.0], kind
    assert reward(**texts, a_setting="text", another=3, a_mapping={"x": 1}) == [0.5, 0.5]
    with pytest.raises(ConfigError, match="column rules has 1 values for 2 completions"):
        reward(**texts, rules=named[:1])


@pytest.mark.parametrize(
    ("turn", "why"),
    [
        ({"role": "assistant", "content": None}, "no content"),
        ({"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "rm"}}]}, "tool calls"),
        ({"role": "assistant", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}, "image_url"),
        ({"role": "assistant", "content": [{"type": "text", "text": "pears"}, {"type": "audio"}]}, "audio"),
    ],
)
def test_what_can_not_be_shown_is_unscored_with_the_reason_and_never_judged_as_empty(turn, why):
    reward = RuleReward(
        make_rule_set("Mention pears."),
        {"backend": "scripted", "model": "tests.scripts:by_words"},
        cache={"enabled": False},
    )
    empty = [{"role": "assistant", "content": ""}]
    scored = reward.score(["p"] * 3, [[turn], empty, "pears"])
    assert scored[0].reward is None and why in scored[0].verdicts[0].failure.message
    assert [one.reward for one in scored[1:]] == [0.0, 1.0]


@pytest.mark.parametrize(
    "turn",
    [
        {"role": "gpt", "content": "pears"},
        {"from": "model", "value": "pears"},
        {"role": "assistant", "content": ["pears"]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "pears"}]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No pears"}]},
        {"role": "assistant", "content": None, "refusal": "No pears"},
    ],
)
def test_text_is_read_wherever_it_stands(turn):
    reward = RuleReward(
        make_rule_set("Mention pears."),
        {"backend": "scripted", "model": "tests.scripts:by_words"},
        cache={"enabled": False},
    )
    assert reward(prompts=["p"], completions=[[turn]]) == [1.0]
