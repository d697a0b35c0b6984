"""The rule reward for TRL (GRPO, RLOO, Online DPO) and Axolotl.

`rule_set.json` and `reward.json` beside this file say what is scored, and how. `rule_reward` and `rule_reward_async`
give the same numbers; `rule_reward_ASPECT` scores the rules of one aspect alone.
"""

from pathlib import Path
from typing import Any

from autorule.rewards import RuleReward


def load() -> RuleReward:
    return RuleReward.shared(Path(__file__).with_name("reward.json"))


def rule_reward(prompts: Any, completions: Any, completion_ids: Any = None, **columns: Any) -> list[float | None]:
    return load()(prompts=prompts, completions=completions, completion_ids=completion_ids, **columns)


async def rule_reward_async(
    prompts: Any, completions: Any, completion_ids: Any = None, **columns: Any
) -> list[float | None]:
    call = load().as_async()
    rewards: list[float | None] = await call(
        prompts=prompts, completions=completions, completion_ids=completion_ids, **columns
    )
    return rewards


def __getattr__(name: str) -> Any:
    if name.startswith("rule_reward_"):
        for reward in load().per_aspect():
            if reward.__name__ == name:
                return reward
    raise AttributeError(f"{__name__} has no {name!r}")


if __name__ == "__main__":
    print(rule_reward(prompts=["Say hello."], completions=["Hello!"]))
