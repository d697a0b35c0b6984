"""The held-out pairs of a run as a table: `04_pairs.parquet` has a row for each pair in the order of the completions
(chosen, then rejected), without any text. `prompt_id` is the hash of the prompt without system turns: pairs that share
it belong together. `whole_prompt_id` is that of all its turns.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from autorule.preferences.completions import completion_id
from autorule.records import Messages, PreferencePair, RejectionReason
from autorule.rules.rule_sets import RuleSet, bare_prompt_hash, prompt_hash
from autorule.runs.files import HELD_OUT_PAIRS
from autorule.statistics.matrix import Bools
from autorule.storage import readable, writing
from autorule.verification.conversation import final_view

SLICE = "slice:"
"""Beginning of the names of columns that an evaluation is sliced by."""
SEEN = RejectionReason(code="prompt_was_seen", message="the rules were mined from this prompt, or chosen by it")
"""Of a pair that is left out because it would flatter the rules."""


def pair_rows(pairs: Iterable[PreferencePair]) -> list[dict[str, Any]]:
    """What statistics need to know about each pair; lengths are characters of the answers, without thinking."""
    return [
        {
            "row": pair.row,
            "pair_id": pair.pair_id,
            "prompt_id": bare_prompt_hash(pair.prompt),
            "whole_prompt_id": prompt_hash(pair.prompt),
            "chosen_id": completion_id(pair.prompt, pair.chosen),
            "chosen_length": _length(pair.chosen),
            "rejected_length": _length(pair.rejected),
            "chosen_first": pair.chosen_first,
            "strength": pair.strength,
            **{f"{SLICE}{name}": value for name, value in pair.slices.items()},
        }
        for pair in pairs
    ]


def write_pair_table(path: Path, rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {
        "row": pa.int64(), "pair_id": pa.string(), "prompt_id": pa.string(), "whole_prompt_id": pa.string(),
        "chosen_id": pa.string(), "chosen_length": pa.int64(), "rejected_length": pa.int64(),
        "chosen_first": pa.bool_(), "strength": pa.float64(),
    }  # fmt: skip
    names = [*kinds, *(name for name in (rows[0] if rows else ()) if name.startswith(SLICE))]
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in names])
    with writing(path, "wb") as file:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), file)


def leaked_pairs(folder: Path, rule_set: RuleSet) -> int:
    """How many pairs of a run have a prompt that the rules were mined from, or kept or weighed by."""
    return int(seen_pairs(folder, rule_set).sum())


def seen_pairs(folder: Path, rule_set: RuleSet) -> Bools:
    """Of each pair of a run, whether the rules were mined from its prompt, or kept or weighed by it."""
    import pyarrow.parquet as pq

    pairs = pq.read_table(readable(folder / HELD_OUT_PAIRS)).to_pylist()
    seen = rule_set.seen_prompts
    return np.array([is_seen(pair, seen) for pair in pairs], dtype=np.bool_)


def is_seen(pair: Mapping[str, Any], seen: frozenset[str]) -> bool:
    """Whether the prompt of a row of the table is among these, with its system turns or without them. Tables of earlier
    versions know it in one way only."""
    return pair["prompt_id"] in seen or pair.get("whole_prompt_id") in seen


def _length(messages: Messages) -> int:
    return sum(len(message.content) for message in final_view(messages))
