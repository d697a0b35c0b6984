"""The rule reward for ms-swift 4: `--external_plugins rule_reward.py --reward_funcs rules`."""

from pathlib import Path
from typing import Any

from autorule.errors import ConfigError
from autorule.rewards import RuleReward


def load() -> RuleReward:
    return RuleReward.shared(Path(__file__).with_name("reward.json"))


def score(completions: list[str], messages: Any = None, **columns: Any) -> list[float | None]:
    """ms-swift gives the conversations in the column `messages`."""
    if messages is None:
        raise ConfigError("ms-swift gave no messages: the rows of the data set need that column")
    prompts = [_prompt_of(turns) for turns in messages]
    ids = columns.pop("response_token_ids", None)
    return load()(prompts=prompts, completions=completions, completion_ids=ids, **columns)


def _prompt_of(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All turns before the response: a last one of the assistant is the response itself."""
    return turns[:-1] if turns and turns[-1]["role"] == "assistant" else turns


def register() -> None:
    from swift.rewards import ORM, orms

    class Rules(ORM):  # type: ignore[misc]
        def __init__(self, args: Any = None, **_: Any) -> None:
            super().__init__(args)

        def __call__(self, completions: list[str], **columns: Any) -> list[float | None]:
            return score(completions, **columns)

    orms["rules"] = Rules


if __name__ == "__main__":
    print(score(["Hello!"], messages=[[{"role": "user", "content": "Say hello."}]]))
else:
    register()
