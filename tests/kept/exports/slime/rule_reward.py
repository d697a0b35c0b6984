"""The rule reward for slime and miles: `--custom-rm-path rule_reward.rule_reward --reward-key score`.

With `--group-rm` the same function is given the samples of a group, and answers for each.
"""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from autorule.rewards import RuleReward
from autorule.rewards.templated_text import response_of, turns_of


def load() -> RuleReward:
    return RuleReward.shared(Path(__file__).with_name("reward.json"))


async def rule_reward(args: Any, sample: Any, **_: Any) -> Any:
    samples = sample if isinstance(sample, list) else [sample]
    reward = load()
    metadata = [getattr(one, "metadata", None) or {} for one in samples]
    columns = {name: [own.get(name) for own in metadata] for name in dict.fromkeys(k for own in metadata for k in own)}
    prompts = [turns_of(one.prompt) if isinstance(one.prompt, str) else one.prompt for one in samples]
    scored = await reward.score_async(prompts, [response_of(one.response) for one in samples], columns)
    results = [{"score": reward.number(one), "fraction": one.rules.fraction} for one in scored]
    return results if isinstance(sample, list) else results[0]


if __name__ == "__main__":
    print(asyncio.run(rule_reward(None, SimpleNamespace(prompt="Say hello.", response="Hello!", metadata={}))))
