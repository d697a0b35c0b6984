"""The rule reward for slime and miles: `--custom-rm-path rule_reward.rule_reward --reward-key score`.

With `--group-rm` the same function is given the samples of a group, and answers for each.
"""

import asyncio
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from autorule.rewards import RuleReward
from autorule.rewards.templated_text import turns_of


@lru_cache(maxsize=1)
def load() -> RuleReward:
    return RuleReward.from_file(Path(__file__).with_name("reward.json"))


async def rule_reward(args: Any, sample: Any, **_: Any) -> Any:
    samples = sample if isinstance(sample, list) else [sample]
    reward = load()
    column = reward.settings.rules_column
    rules = [(getattr(one, "metadata", None) or {}).get(column) for one in samples]
    prompts = [turns_of(one.prompt) if isinstance(one.prompt, str) else one.prompt for one in samples]
    scored = await reward.score_async(prompts, [one.response for one in samples], {column: rules})
    results = [{"score": reward.reward_or_policy(one), "fraction": one.rules.fraction} for one in scored]
    return results if isinstance(sample, list) else results[0]


if __name__ == "__main__":
    print(asyncio.run(rule_reward(None, SimpleNamespace(prompt="Say hello.", response="Hello!", metadata={}))))
