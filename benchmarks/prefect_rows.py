"""How many rows a scoring run leaves in Prefect's database, by table: measured on a real server, computed beyond it.

    python benchmarks/prefect_rows.py [--completions 100000] [--target 1000000]

Two runs of different size at the default shard size tell what a run and what a shard leave. Writes
benchmarks/results/prefect_rows.json.
"""

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from extraction import machine, prefect_server, print_table

from autorule.config.runs import ScoreConfig
from autorule.config.stages import RewardConfig, VerificationConfig
from autorule.prompting import load_prompt
from autorule.records import Rule, content_id
from autorule.rules.rule_sets import RuleSet, VerificationSpec, dump_rule_set

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "prefect_rows.json"
MOST_ROWS = 10_000
SHARD_SIZE = ScoreConfig.model_fields["shard_size"].default
SETTLED_S = 15.0
"""The server writes events after the run; no new row for so long means that it is done."""
PATIENCE_S = 600.0
SCORE = """
import sys
from autorule.config.runs import ScoreConfig
from autorule.flows.score_completions import score_completions
print(score_completions(ScoreConfig.model_validate_json(sys.argv[1])).status)
"""


def measure(n_completions: int) -> dict[str, Any]:
    """Rows by table that scoring so many completions leaves."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = write_job(folder, n_completions)
        with prefect_server(folder) as environment:
            database = folder / "prefect/prefect.db"
            before = settled_rows(database)
            begun_at = time.monotonic()
            done = subprocess.run(
                [sys.executable, "-c", SCORE, config],
                env={**os.environ, **environment, "PREFECT_LOGGING_EXTRA_LOGGERS": "autorule",
                     "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])},
                capture_output=True, text=True,
            )  # fmt: skip
            if done.returncode:
                sys.exit(done.stderr[-4000:])
            flow_s = time.monotonic() - begun_at
            after = settled_rows(database)
        rows = {table: n - before.get(table, 0) for table, n in after.items() if n > before.get(table, 0)}
        size = database.stat().st_size
        files = {path.name: path.stat().st_size for path in (folder / "outputs").glob("*/*") if path.is_file()}
    n_shards = -(-n_completions // SHARD_SIZE)
    return {"completions": n_completions, "shards": n_shards, "rows": sum(rows.values()), "by_table": rows,
            "flow_s": flow_s, "database_mb": size / 1e6, "file_bytes": files}  # fmt: skip


def write_job(folder: Path, n_completions: int) -> str:
    with (folder / "completions.jsonl").open("w", encoding="utf-8") as file:
        for row in range(n_completions):
            file.write(json.dumps({"prompt": f"question {row}", "completion": f"answer {row}"}) + "\n")
    settings = VerificationConfig()
    spec = VerificationSpec.from_config(settings, load_prompt(settings.prompt_name))
    rules = [Rule(rule_id=content_id(text), text=text, support=1, weight=1.0) for text in ("Be brief.", "Be kind.")]
    rule_set = RuleSet(rules=tuple(rules), verification=spec, reward=RewardConfig())
    (folder / "rules.json").write_text(dump_rule_set(rule_set), encoding="utf-8")
    return ScoreConfig.model_validate(
        {
            "completions": folder / "completions.jsonl", "rules": folder / "rules.json", "outputs": folder / "outputs",
            "model": {"backend": "scripted", "model": "workload:judge"}, "cache": {"enabled": False},
        }
    ).model_dump_json()  # fmt: skip


def settled_rows(database: Path) -> dict[str, int]:
    """Table -> rows, once nothing more is written."""
    deadline = time.monotonic() + PATIENCE_S
    known, since = count_rows(database), time.monotonic()
    while time.monotonic() - since < SETTLED_S:
        if time.monotonic() > deadline:
            sys.exit(f"the server still writes after {PATIENCE_S} s")
        time.sleep(1)
        if (found := count_rows(database)) != known:
            known, since = found, time.monotonic()
    return known


def count_rows(database: Path) -> dict[str, int]:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=60)
    try:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0] for table in tables}
    finally:
        connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--completions", type=int, default=100_000)
    parser.add_argument("--target", type=int, default=1_000_000)
    asked = parser.parse_args()
    small, large = measure(2 * SHARD_SIZE), measure(asked.completions)
    per_shard = (large["rows"] - small["rows"]) / (large["shards"] - small["shards"])
    computed = small["rows"] + per_shard * (-(-asked.target // SHARD_SIZE) - small["shards"])
    tables = sorted({*small["by_table"], *large["by_table"]})
    print_table(
        ("table", "2 shards", f"{large['shards']} shards"),
        [(table, small["by_table"].get(table, 0), large["by_table"].get(table, 0)) for table in tables],
    )
    print(f"{per_shard:.1f} rows a shard; {asked.target:,} completions: {computed:,.0f} rows (at most {MOST_ROWS:,})")
    facts = {"measured_at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine()}
    found = {**facts, "shard_size": SHARD_SIZE, "small": small, "large": large, "rows_per_shard": per_shard,
             "target": asked.target, "computed_rows": computed, "met": computed < MOST_ROWS}  # fmt: skip
    RESULTS.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
