"""verl's own loader finds the exported function, and calls it as its reward loop does."""

import asyncio
import inspect

from omegaconf import OmegaConf
from verl.trainer.ppo.reward import get_custom_reward_fn

from tests.trainers.exported import export


def test_the_loader_of_verl_takes_the_function(tmp_path):
    folder = export("verl", tmp_path, "Mention pears.", "Mention apples.")
    settings = {"path": str(folder / "rule_reward.py"), "name": "compute_score", "reward_kwargs": {}}
    config = OmegaConf.create({"reward": {"custom_reward_function": settings}})
    function = get_custom_reward_fn(config)
    assert inspect.iscoroutinefunction(function)
    call = {"data_source": "rules", "ground_truth": "", "extra_info": {"prompt": "Name a fruit.", "num_turns": 2}}
    first, second = (asyncio.run(function(solution_str=text, **call)) for text in ("pears", "plums"))
    assert (first["score"], second["score"]) == (0.5, 0.0)
    assert list(first) == list(second)
