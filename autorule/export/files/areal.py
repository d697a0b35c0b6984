"""The rule reward for AReaL: `reward_fn`, synchronous, for one completion, picklable by its name.

AReaL gives a reward function 15 seconds and then takes 0: raise its timeout above the slowest verdict of your verifier.
"""

from pathlib import Path
from typing import Any

from autorule.rewards import RuleReward
from autorule.rewards.templated_text import response_of, turns_of


def load() -> RuleReward:
    return RuleReward.shared(Path(__file__).with_name("reward.json"))


def reward_fn(
    prompt: str, completions: str, prompt_ids: Any = None, completion_ids: Any = None, **columns: Any
) -> float:
    reward = load()
    shown = columns.get("messages") or turns_of(prompt)
    ids = [completion_ids] if completion_ids is not None else None
    own = {name: [value] for name, value in columns.items()}
    [scored] = reward.score([shown], [response_of(completions)], own, ids)
    return reward.number(scored)


if __name__ == "__main__":
    print(reward_fn("Say hello.", "Hello!"))
