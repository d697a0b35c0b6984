"""Data for trainers: prompts in verl's layout or HealthBench's, preferences out of scored completions."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from autorule.errors import ConfigError, InputError, in_words
from autorule.records import Completion, Messages, RewardRecord, content_id


class Preference(NamedTuple):
    """Two completions of one prompt whose rewards differ."""

    prompt: Messages
    chosen: Messages
    rejected: Messages
    margin: float


def verl_rows(
    prompts: Iterable[tuple[Messages, dict[str, Any]]], data_source: str, split: str
) -> Iterator[dict[str, Any]]:
    """Rows in verl's layout. `extra_info` holds the prompt (as messages) and what else a row has, such as `rules`."""
    for index, (prompt, extra) in enumerate(prompts):
        turns = as_turns(prompt)
        yield {
            "data_source": data_source,
            "prompt": turns,
            "ability": "rules",
            "reward_model": {"style": "rule", "ground_truth": ""},
            "extra_info": {**extra, "index": index, "split": split, "prompt": turns},
        }


def preferences(
    scored: Iterable[tuple[Completion, RewardRecord]], margin: float, every_pair: bool = False
) -> Iterator[Preference]:
    """The best completion of each prompt against the worst, or every pair, where rewards differ by at least `margin`.

    Unscored completions are in no pair; ties never are.
    """
    by_prompt: dict[str, list[tuple[Completion, float]]] = {}
    for completion, record in scored:
        if record.reward is not None:
            key = content_id([[turn.role, turn.content] for turn in completion.prompt])
            by_prompt.setdefault(key, []).append((completion, record.reward))
    for group in by_prompt.values():
        ranked = sorted(group, key=lambda item: -item[1])
        pairs = [(ranked[0], ranked[-1])]
        if every_pair:
            pairs = [(better, worse) for i, better in enumerate(ranked) for worse in ranked[i + 1 :]]
        for (better, high), (worse, low) in pairs:
            if high > low and high - low >= margin:
                yield Preference(better.prompt, better.completion, worse.completion, high - low)


def trl_row(pair: Preference) -> dict[str, Any]:
    """TRL's preference layout with an explicit prompt, in messages; `margin` is the difference of the rewards."""
    return {
        "prompt": as_turns(pair.prompt),
        "chosen": as_turns(pair.chosen),
        "rejected": as_turns(pair.rejected),
        "margin": pair.margin,
    }


def nemo_rl_row(pair: Preference) -> dict[str, Any]:
    """NeMo-RL's PreferenceDataset: ranked completions, 0 the better one."""
    ranked = [{"rank": 0, "completion": as_turns(pair.chosen)}, {"rank": 1, "completion": as_turns(pair.rejected)}]
    return {"context": as_turns(pair.prompt), "completions": ranked, "task_name": "rules"}


def llama_factory_row(pair: Preference) -> dict[str, Any]:
    """LLaMA-Factory's ranking layout in sharegpt form. Raises ConfigError for a prompt that it can't hold."""
    names = {"user": "human", "assistant": "gpt", "system": "system", "tool": "observation"}
    if len(pair.chosen) != 1 or len(pair.rejected) != 1:
        raise ConfigError("LLaMA-Factory takes a response of one turn; this one has several")
    return {
        "conversations": [{"from": names[turn.role], "value": turn.content} for turn in pair.prompt],
        "chosen": {"from": "gpt", "value": pair.chosen[0].content},
        "rejected": {"from": "gpt", "value": pair.rejected[0].content},
    }


LLAMA_FACTORY_INFO = {
    "formatting": "sharegpt",
    "ranking": True,
    "columns": {"messages": "conversations", "chosen": "chosen", "rejected": "rejected"},
}
"""Of the file's entry in dataset_info.json."""


def as_turns(messages: Messages) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    """Writes the rows under a temporary name first; how many there are. Raises InputError when there is none."""
    temporary = path.with_name(f".{path.name}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    n = 0
    with temporary.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            n += 1
    if not n:
        temporary.unlink()
        raise InputError(f"there is nothing to write to {path}: no row, or no two rewards of one prompt that differ")
    temporary.replace(path)
    return n


def write_parquet(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    """As `write_jsonl`, as Parquet. Raises InputError also for columns with values of several kinds."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pa.Table.from_pylist(list(rows))
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InputError(
            f"the rows do not fit one table, a column has values of several kinds: {in_words(error)}"
        ) from error
    if not table.num_rows:
        raise InputError(f"there is nothing to write to {path}: no row")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    pq.write_table(table, temporary)
    temporary.replace(path)
    return int(table.num_rows)
