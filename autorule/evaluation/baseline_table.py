"""Scores of the baselines that a model gives, pair by pair: 04_baselines.parquet of an evaluation."""

from pathlib import Path
from typing import Any

from autorule.storage import writing

SCORES = ("one_call_first", "one_call_second", "chosen_model", "rejected_model")


def write_baselines(path: Path, records: list[dict[str, Any]]) -> None:
    """`records`: row number and SCORES of each pair, None where there is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("row", pa.int64()), *((name, pa.float64()) for name in SCORES)])
    with writing(path, "wb") as file:
        pq.write_table(pa.Table.from_pylist(records, schema=schema), file)
