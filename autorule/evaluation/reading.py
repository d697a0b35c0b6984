"""A run on held-out pairs, read back as a matrix."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from autorule.errors import InputError
from autorule.evaluation.matrix import NO, NOT_APPLICABLE, UNSCORED, YES, Floats, Ints, PairMatrix
from autorule.evaluation.pair_table import SLICE
from autorule.rule_sets import RuleSet
from autorule.run_folder import BASELINES, FLIPS, HELD_OUT_PAIRS, VERDICTS

LABELS = {"yes": YES, "no": NO, "not_applicable": NOT_APPLICABLE, None: UNSCORED}


def read_matrix(folder: Path, rule_set: RuleSet) -> PairMatrix:
    """The verdicts of a run on held-out pairs. Pairs of which a side is missing are left out.

    Raises InputError when the folder is no such run, or its verdicts are not on these rules.
    """
    import pyarrow.parquet as pq

    for name in (HELD_OUT_PAIRS, VERDICTS):
        if not (folder / name).exists():
            raise InputError(
                f"{folder} has no {name}: give the folder of an evaluation, or of an extraction with --held-out"
            )
    verdicts = pq.read_table(folder / VERDICTS, columns=["row", "rule_id", "verdict", "p_yes"])
    n_rules = len(rule_set.rules)
    rule_ids = tuple(rule.rule_id for rule in rule_set.rules)
    if verdicts["rule_id"].to_pylist() != list(rule_ids) * (verdicts.num_rows // n_rules):
        raise InputError(f"the verdicts in {folder} are not those of this rule set; evaluate it anew")
    labels = np.array([LABELS[label] for label in verdicts["verdict"].to_pylist()], dtype=np.int8).reshape(-1, n_rules)
    p_yes = verdicts["p_yes"].to_numpy(zero_copy_only=False).astype(np.float64).reshape(-1, n_rules)
    rows = verdicts["row"].to_numpy()[::n_rules]
    first = np.arange(0, len(rows) - 1, 2)  # both sides of a pair follow each other, and a shard holds whole pairs
    if len(rows) % 2 or (rows[first] != rows[first + 1]).any():
        raise InputError(f"the verdicts in {folder} are not on pairs: give the folder of an evaluation")
    known = _rows_of(folder / HELD_OUT_PAIRS, rows[first])
    baselines = _rows_of(folder / BASELINES, rows[first]) if (folder / BASELINES).exists() else []
    soft = not np.isnan(p_yes).all()
    names = [name for name in (known[0] if known else ()) if name.startswith(SLICE)]
    strength = _column(known, "strength")
    return PairMatrix(
        rule_ids=rule_ids,
        chosen=labels[first],
        rejected=labels[first + 1],
        prompts=_prompt_numbers([row["prompt_id"] for row in known]),
        chosen_p=p_yes[first] if soft else None,
        rejected_p=p_yes[first + 1] if soft else None,
        chosen_length=_column(known, "chosen_length"),
        rejected_length=_column(known, "rejected_length"),
        strength=None if strength is None else np.nan_to_num(strength, nan=1.0),
        chosen_first=_column(known, "chosen_first"),
        chosen_model=_column(baselines, "chosen_model"),
        rejected_model=_column(baselines, "rejected_model"),
        one_call=_one_call(baselines),
        slices={name.removeprefix(SLICE): [row[name] for row in known] for name in names},
        na_policy=rule_set.verification.na_policy,
    )


def read_flips(folder: Path) -> dict[str, dict[str, float | None]]:
    """What was changed in the question -> rule id -> share of verdicts that changed; empty where nothing was tried."""
    path = folder / FLIPS
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def read_position_bias(folder: Path) -> float | None:
    """Of the one-call verdicts of a run: share of probability, over both orders, for the response shown first."""
    import pyarrow.parquet as pq

    path = folder / BASELINES
    if not path.exists():
        return None
    table = pq.read_table(path, columns=["one_call_first", "one_call_second"]).to_pandas().to_numpy(dtype=np.float64)
    shown_first = np.column_stack([table[:, 0], 1 - table[:, 1]])
    return None if np.isnan(shown_first).all() else float(np.nanmean(shown_first))


def _rows_of(path: Path, rows: Ints) -> list[dict[str, Any]]:
    """The records of a table of pairs, in the order of these row numbers."""
    import pyarrow.parquet as pq

    by_row = {record["row"]: record for record in pq.read_table(path).to_pylist()}
    return [by_row[row] for row in rows.tolist()]


def _prompt_numbers(prompt_ids: list[str]) -> Ints:
    """Numbers made of the hashes, so that a prompt has the same one in every file."""
    return np.array([int(prompt_id[:15], 16) for prompt_id in prompt_ids], dtype=np.int64)


def _column(records: list[dict[str, Any]], name: str) -> Floats | None:
    """None where no record has a value."""
    values = np.array([np.nan if record[name] is None else float(record[name]) for record in records])
    return None if not len(values) or np.isnan(values).all() else values


def _one_call(records: list[dict[str, Any]]) -> Floats | None:
    """Mean over both orders; NaN where one of them has no answer."""
    first, second = _column(records, "one_call_first"), _column(records, "one_call_second")
    return None if first is None or second is None else (first + second) / 2
