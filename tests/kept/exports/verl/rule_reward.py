"""The rule reward for verl 0.9 and later: `compute_score`, and `compute_score_sync` for its `remote` manager.

verl does not hand the prompt over: it is read from `extra_info["prompt"]`, where `autorule export-data --to verl` puts
it. Every call returns the same keys.
"""

import asyncio
from pathlib import Path
from typing import Any

from autorule.rewards import RuleReward


def load() -> RuleReward:
    return RuleReward.shared(Path(__file__).with_name("reward.json"))


def compute_score_sync(
    data_source: str, solution_str: str, ground_truth: Any, extra_info: dict[str, Any], **_: Any
) -> dict[str, float]:
    reward = load()
    if "prompt" not in (extra_info or {}):
        raise KeyError("extra_info has no 'prompt'; write the data with: autorule export-data PROMPTS --to verl")
    columns = {name: [_plain(value)] for name, value in extra_info.items()}
    [scored] = reward.score([_plain(extra_info["prompt"])], [solution_str], columns)
    return {"score": reward.number(scored), **reward.metrics([scored])}


async def compute_score(
    data_source: str, solution_str: str, ground_truth: Any, extra_info: dict[str, Any], **kwargs: Any
) -> dict[str, float]:
    return await asyncio.to_thread(compute_score_sync, data_source, solution_str, ground_truth, extra_info, **kwargs)


def _plain(value: Any) -> Any:
    """Parquet readers give arrays where there were lists."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value


if __name__ == "__main__":
    print(asyncio.run(compute_score("rules", "Hello!", "", {"prompt": "Say hello."})))
