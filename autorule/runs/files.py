"""The files that a run leaves: numbered stage files, failures, rejected rows and the manifest.

A stage file that is there is whole; failures are appended while the run goes on. Shards write parts; a stage joins its
parts into its file in the order of the shards.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from autorule.storage import writing

RecordType = TypeVar("RecordType", bound=BaseModel)

PAIRS = "00_pairs.jsonl"
INTERPRETATIONS = "01_interpretations.jsonl"
CHECKS = "01_chain_checks.jsonl"
CANDIDATES = "02_candidate_rules.jsonl"
RULE_SET = "03_rule_set.json"
DROPPED = "03_dropped_candidates.jsonl"
HELD_OUT_PAIRS = "04_pairs.parquet"
VERDICTS = "04_verdicts.parquet"
BASELINES = "04_baselines.parquet"
FLIPS = "04_flips.json"
REWARDS = "05_rewards.parquet"
EVALUATION = "06_evaluation.json"
FAILURES = "failures.jsonl"
REJECTED = "rejected_rows.jsonl"
REJECTED_HELD_OUT = "rejected_held_out_rows.jsonl"
STAGE_FILES = (
    PAIRS, INTERPRETATIONS, CHECKS, CANDIDATES, RULE_SET, DROPPED, HELD_OUT_PAIRS, VERDICTS, BASELINES, FLIPS, REWARDS,
    EVALUATION, REJECTED, REJECTED_HELD_OUT,
)  # fmt: skip
MANIFEST = "manifest.json"
PARTS = "parts"


def write_records(path: Path, records: Iterable[BaseModel]) -> int:
    """Writes one record a line, the whole file or none of it; how many there were."""
    n = 0
    with writing(path) as file:
        for record in records:
            file.write(record.model_dump_json() + "\n")
            n += 1
    return n


def read_records(path: Path, kind: type[RecordType]) -> Iterator[RecordType]:
    """The records of a file that write_records made."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield kind.model_validate_json(line)


def part_path(folder: Path, name: str, shard: int) -> Path:
    """Where shard number `shard` keeps its part of the stage file `name`."""
    return folder / PARTS / f"{Path(name).stem}-{shard:05d}{Path(name).suffix}"
