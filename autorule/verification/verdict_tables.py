"""The verdict matrix and the rewards of a run, as Parquet: `pandas.read_parquet(run / "04_verdicts.parquet")`.

One row for each completion and rule, in the order of the input rows and of the rule set, in flat arrays while a shard
goes on: two thousand completions by fifty rules take a few megabytes.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from autorule.records import Completion, RewardRecord, Rule, Verdict, VerdictLabel
from autorule.rules.rule_sets import prompt_hash
from autorule.storage import readable, writing

LABELS: tuple[VerdictLabel, ...] = ("yes", "no", "not_applicable")
ROW_GROUP = 100_000


class Counts(NamedTuple):
    rows: int
    unscored: int


class VerdictTable:
    """Verdicts of `completions` by `rules`, filled in completion by completion."""

    def __init__(self, completions: Sequence[Completion], rules: Sequence[Rule]) -> None:
        self._completions = completions
        self._rules = rules
        shape = (len(completions), len(rules))
        self._label = np.full(shape, -1, dtype=np.int8)
        self._p_yes, self._p_na, self._mass = (np.full(shape, np.nan) for _ in range(3))
        self._trimmed = np.zeros(shape, dtype=bool)
        self._failures: dict[int, str] = {}

    def put(self, index: int, verdicts: Sequence[Verdict]) -> None:
        """The verdicts on one completion, in the order of the rules."""
        for column, verdict in enumerate(verdicts):
            if verdict.verdict is not None:
                self._label[index, column] = LABELS.index(verdict.verdict)
            if verdict.p_yes is not None:
                self._p_yes[index, column] = verdict.p_yes
            if verdict.p_not_applicable is not None:
                self._p_na[index, column] = verdict.p_not_applicable
            if verdict.mass is not None:
                self._mass[index, column] = verdict.mass
            self._trimmed[index, column] = verdict.trimmed
            if verdict.failure is not None:
                failure = verdict.failure
                self._failures[index * len(self._rules) + column] = f"{failure.kind}: {failure.message}"

    def write(self, path: Path) -> None:
        import pyarrow as pa

        n_rules = len(self._rules)
        owner = pa.array(np.repeat(np.arange(len(self._completions), dtype=np.int32), n_rules))
        rule = pa.array(np.tile(np.arange(n_rules, dtype=np.int32), len(self._completions)))
        label = self._label.reshape(-1).astype(np.int32)
        reasons: list[str | None] = [None] * self._label.size
        for position, reason in self._failures.items():
            reasons[position] = reason
        ids = pa.array([completion.completion_id for completion in self._completions])
        columns = {
            "row": pa.array(np.repeat(np.array([c.row for c in self._completions], dtype=np.int64), n_rules)),
            "completion_id": pa.DictionaryArray.from_arrays(owner, ids),
            "rule_id": pa.DictionaryArray.from_arrays(rule, pa.array([rule.rule_id for rule in self._rules])),
            "verdict": pa.DictionaryArray.from_arrays(pa.array(label, mask=label < 0), pa.array(list(LABELS))),
            "p_yes": _with_nulls(self._p_yes),
            "p_not_applicable": _with_nulls(self._p_na),
            "mass": _with_nulls(self._mass),
            "trimmed": pa.array(self._trimmed.reshape(-1)),
            "unscored_reason": pa.array(reasons, type=pa.string()),
        }
        _write(path, pa.table(columns).cast(_verdict_schema()))


def write_rewards(path: Path, rewards: Sequence[RewardRecord], completions: Sequence[Completion]) -> None:
    """One row for each completion; `prompt_id` is the same for completions of one prompt."""
    import pyarrow as pa

    rows = [
        {**reward.model_dump(), "prompt_id": prompt_hash(completion.prompt)}
        for reward, completion in zip(rewards, completions, strict=True)
    ]
    _write(path, pa.Table.from_pylist(rows, schema=_reward_schema()))


def join_tables(parts: Sequence[Path], target: Path, kind: str) -> Counts:
    """Makes one file, `kind` verdicts or rewards, out of the parts that are there; rows, and those without a value."""
    import pyarrow.parquet as pq

    schema, value = (_verdict_schema(), "verdict") if kind == "verdicts" else (_reward_schema(), "reward")
    rows = unscored = 0
    with writing(target, "wb") as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for part in parts:
            for batch in pq.ParquetFile(readable(part)).iter_batches(batch_size=ROW_GROUP):
                writer.write_batch(batch.cast(schema))
                rows += batch.num_rows
                unscored += batch.column(value).null_count
    return Counts(rows, unscored)


def read_rewards(path: Path) -> Iterator[RewardRecord]:
    """The rewards of a run, row by row."""
    for values in _rows(path):
        del values["prompt_id"]
        yield RewardRecord(**values)


def read_verdicts(path: Path) -> Iterator[dict[str, Any]]:
    """The verdicts of a run as dicts of column to value, row by row."""
    return _rows(path)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(readable(path)).iter_batches(batch_size=4096):
        yield from batch.to_pylist()


def _with_nulls(values: "np.ndarray[Any, Any]") -> Any:
    import pyarrow as pa

    flat = values.reshape(-1)
    return pa.array(flat, mask=np.isnan(flat))


def _write(path: Path, table: Any) -> None:
    import pyarrow.parquet as pq

    with writing(path, "wb") as file:
        pq.write_table(table, file, row_group_size=ROW_GROUP, compression="zstd")


def _verdict_schema() -> Any:
    import pyarrow as pa

    fields = {
        "row": pa.int64(),
        "completion_id": pa.string(),
        "rule_id": pa.string(),
        "verdict": pa.string(),
        "p_yes": pa.float64(),
        "p_not_applicable": pa.float64(),
        "mass": pa.float64(),
        "trimmed": pa.bool_(),
        "unscored_reason": pa.string(),
    }
    return pa.schema(list(fields.items()))


def _reward_schema() -> Any:
    import pyarrow as pa

    kinds = {"int": pa.int64(), "str": pa.string(), "float": pa.float64()}
    names = {name: str(field.annotation) for name, field in RewardRecord.model_fields.items()}
    fields = [
        (name, next((kind for word, kind in kinds.items() if word in annotation), pa.string()))
        for name, annotation in names.items()
    ]
    return pa.schema([*fields, ("prompt_id", pa.string())])
