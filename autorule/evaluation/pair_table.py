"""The held-out pairs of a run as a table, and with its verdicts as a matrix.

`04_pairs.parquet` has a row for each pair in the order of the completions (chosen, then rejected), without any text.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from autorule.conversation import final_view
from autorule.errors import InputError
from autorule.evaluation.matrix import NO, NOT_APPLICABLE, UNSCORED, YES, PairMatrix
from autorule.records import Messages, PreferencePair
from autorule.rule_sets import RuleSet, prompt_hash
from autorule.run_folder import HELD_OUT_PAIRS, VERDICTS

LABELS = {"yes": YES, "no": NO, "not_applicable": NOT_APPLICABLE, None: UNSCORED}


def pair_rows(pairs: Iterable[PreferencePair]) -> list[dict[str, Any]]:
    """Row, ids and lengths (characters of the answers, without thinking) of each pair."""
    return [
        {
            "row": pair.row,
            "pair_id": pair.pair_id,
            "prompt_id": prompt_hash(pair.prompt),
            "chosen_length": _length(pair.chosen),
            "rejected_length": _length(pair.rejected),
            "stratum": pair.stratum,
        }
        for pair in pairs
    ]


def write_pair_table(path: Path, rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"row": pa.int64(), "chosen_length": pa.int64(), "rejected_length": pa.int64()}
    names = ("row", "pair_id", "prompt_id", "chosen_length", "rejected_length", "stratum")
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in names])
    temporary = path.with_name(f".{path.name}.tmp")
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), temporary)
    temporary.replace(path)


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
    pairs = pq.read_table(folder / HELD_OUT_PAIRS).to_pylist()
    verdicts = pq.read_table(folder / VERDICTS, columns=["row", "rule_id", "verdict", "p_yes"])
    n_rules = len(rule_set.rules)
    rule_ids = tuple(rule.rule_id for rule in rule_set.rules)
    if verdicts["rule_id"].to_pylist() != list(rule_ids) * (verdicts.num_rows // n_rules):
        raise InputError(f"the verdicts in {folder} are not those of this rule set; evaluate it anew")
    labels = np.array([LABELS[label] for label in verdicts["verdict"].to_pylist()], dtype=np.int8).reshape(-1, n_rules)
    p_yes = verdicts["p_yes"].to_numpy(zero_copy_only=False).astype(np.float64).reshape(-1, n_rules)
    rows = verdicts["row"].to_numpy()[::n_rules]
    first = np.arange(0, len(rows), 2)  # both sides of a pair follow each other, and a shard holds whole pairs
    if len(rows) % 2 or (rows[first] != rows[first + 1]).any():
        raise InputError(f"the verdicts in {folder} are not on pairs: give the folder of an evaluation")
    by_row = {pair["row"]: pair for pair in pairs}
    known = [by_row[row] for row in rows[first]]
    prompts = np.unique([pair["prompt_id"] for pair in known], return_inverse=True)[1].astype(np.int64)
    strata = [pair["stratum"] for pair in known]
    return PairMatrix(
        rule_ids=rule_ids,
        chosen=labels[first],
        rejected=labels[first + 1],
        prompts=prompts,
        chosen_p=p_yes[first] if not np.isnan(p_yes).all() else None,
        rejected_p=p_yes[first + 1] if not np.isnan(p_yes).all() else None,
        chosen_length=np.array([pair["chosen_length"] for pair in known], dtype=np.float64),
        rejected_length=np.array([pair["rejected_length"] for pair in known], dtype=np.float64),
        slices={"stratum": [value or "" for value in strata]} if any(strata) else {},
        na_policy=rule_set.verification.na_policy,
    )


def leaked_pairs(folder: Path, rule_set: RuleSet) -> int:
    """How many pairs of a run have a prompt that the rules were mined from."""
    import pyarrow.parquet as pq

    ids = pq.read_table(folder / HELD_OUT_PAIRS, columns=["prompt_id"])["prompt_id"].to_pylist()
    return sum(prompt_id in rule_set.mined_prompts for prompt_id in ids)


def _length(messages: Messages) -> int:
    return sum(len(message.content) for message in final_view(messages))
