"""What users made before modules moved still loads: exported folders, pickled rewards, imports under earlier names."""

import asyncio
import importlib
import importlib.util
import pickle
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from autorule.earlier_names import MOVED

KEPT = Path(__file__).parents[1] / "kept"
"""Made before modules moved: a pickle of a RuleReward, and exports of the same rules."""
PROMPTS = ["Name a fruit."] * 3
COMPLETIONS = ["pears and apples", "a plum", "insults apples one two three four five six"]
REWARDS = [0.75, 0.08333333333333331, 0.25]
"""As they were given then."""


def exported(target):
    spec = importlib.util.spec_from_file_location(f"kept_{target}", KEPT / "exports" / target / "rule_reward.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_pickle_of_a_reward_loads_and_rewards_alike():
    script = (
        "import pickle, sys\n"
        "reward = pickle.load(open(sys.argv[1], 'rb'))\n"
        f"print(reward(prompts={PROMPTS!r}, completions={COMPLETIONS!r}))\n"
    )
    command = [sys.executable, "-c", script, KEPT / "reward.pickle"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=KEPT.parents[1])
    assert done.stdout == f"{REWARDS}\n", done.stderr


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_pickle_that_is_loaded_is_of_the_classes_that_there_are():
    reward = pickle.loads((KEPT / "reward.pickle").read_bytes())
    assert pickle.loads(pickle.dumps(reward)).rule_set == reward.rule_set
    assert {type(reward.rule_set).__module__, type(reward.settings.model).__module__} == {
        "autorule.rules.rule_sets", "autorule.config.models",
    }  # fmt: skip


def test_an_export_to_trl_rewards_alike():
    module = exported("trl")
    assert module.rule_reward(prompts=PROMPTS, completions=COMPLETIONS) == REWARDS
    assert module.rule_reward_fruit.__name__ == "rule_reward_fruit"


def test_an_export_to_verl_rewards_alike():
    scored = [
        exported("verl").compute_score_sync("x", completion, None, {"prompt": [{"role": "user", "content": prompt}]})
        for prompt, completion in zip(PROMPTS, COMPLETIONS, strict=True)
    ]
    assert [one["score"] for one in scored] == REWARDS


def test_an_export_to_openrlhf_rewards_alike():
    queries = [f"{prompt}{text}" for prompt, text in zip(PROMPTS, COMPLETIONS, strict=True)]
    scored = exported("openrlhf").reward_func(queries, PROMPTS, [None] * 3)
    assert [float(value) for value in scored["rewards"]] == pytest.approx(REWARDS)


def test_an_export_to_slime_rewards_alike():
    samples = [
        SimpleNamespace(prompt=prompt, response=text, metadata={})
        for prompt, text in zip(PROMPTS, COMPLETIONS, strict=True)
    ]
    assert [one["score"] for one in asyncio.run(exported("slime").rule_reward(None, samples))] == REWARDS


@pytest.mark.parametrize("name", MOVED)
def test_an_earlier_name_is_a_second_name_for_what_is_there(name):
    sys.modules.pop(name, None)
    with pytest.warns(DeprecationWarning, match=f"{name} is now {MOVED[name]}"):
        module = importlib.import_module(name)
    now = importlib.import_module(MOVED[name])
    assert all(getattr(module, public) is getattr(now, public) for public in vars(now) if not public.startswith("_"))


def test_a_name_that_never_was_is_still_unknown():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("autorule.rule_seats")
