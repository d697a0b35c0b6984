"""The rule reward for OpenRLHF as a local file: `--reward.remote_url /path/to/this_file.py`.

OpenRLHF hands over templated text: the turns are read back out of it. A label that is an object with `prompt` (text or
messages), and perhaps `rules` (ids), is taken instead.
"""

from pathlib import Path
from typing import Any

from autorule.rewards import RuleReward
from autorule.rewards.templated_text import openrlhf_scores


def load() -> RuleReward:
    return RuleReward.shared(Path(__file__).with_name("reward.json"))


def reward_func(queries: list[str], prompts: list[str], labels: list[Any], **_: Any) -> dict[str, Any]:
    return openrlhf_scores(load(), queries, prompts, labels)


if __name__ == "__main__":
    print(reward_func(["User: Say hello.\nAssistant: Hello!"], ["User: Say hello.\nAssistant:"], [""]))
