"""Verdicts of a run carried over to a rule set that asks the same: some of its rules, other weights, rules turned
around; the tables of the other run are those of the pairs and rules that were taken.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from autorule.errors import InputError
from autorule.evaluation.reading import as_asked, whole
from autorule.records import Rule
from autorule.rules.rule_sets import RuleSet, load_rule_set
from autorule.runs.files import BASELINES, FLIPS, HELD_OUT_PAIRS, RULE_SET, VERDICTS
from autorule.statistics.matrix import Bools
from autorule.storage import readable, write_text, writing

TURNED = {"yes": "no", "no": "yes"}


class Source(NamedTuple):
    """Where the verdicts on one rule stand in a run."""

    column: int
    asked_id: str
    turned: bool
    """The run asked about the opposite rule: yes is no here."""


def sources_of(folder: Path, rule_set: RuleSet) -> list[Source]:
    """For each rule the verdicts of the run in `folder` that are on it.

    Raises InputError, with the ids, for rules that the run did not ask about, or asked about in another way.
    """
    if not (folder / RULE_SET).exists():
        raise InputError(f"{folder} has no {RULE_SET}: it can't be told what its verdicts are on; evaluate anew")
    asked = load_rule_set(folder / RULE_SET)
    if asked.verification != rule_set.verification:
        raise InputError(
            f"the verdicts in {folder} were made with other settings of the verification; evaluate the rule set anew"
        )
    found = {rule.rule_id: _source(rule, asked.rules, folder) for rule in rule_set.rules}
    if missing := [rule_id for rule_id, source in found.items() if source is None]:
        raise InputError(
            f"the verdicts in {folder} are not on the rules {', '.join(missing)}: leave these out (`autorule rules "
            "edit --drop`), or evaluate the rule set anew"
        )
    return [source for source in found.values() if source is not None]


def _source(rule: Rule, asked: Sequence[Rule], folder: Path) -> Source | None:
    """The verdicts on the rule itself, else those on its opposite."""
    *question, inverted = as_asked(rule)
    for column, other in enumerate(asked):
        if other.rule_id == rule.rule_id:
            if as_asked(other) != as_asked(rule):
                raise InputError(
                    f"the verdicts in {folder} were made with another text, threshold or check of rule {rule.rule_id}; "
                    "evaluate the rule set anew"
                )
            return Source(column, other.rule_id, turned=False)
    for column, other in enumerate(asked):
        if list(as_asked(other)) == [*question, not inverted]:
            return Source(column, other.rule_id, turned=True)
    return None


def carry_verdicts(folder: Path, target: Path, sources: Sequence[Source], rule_ids: Sequence[str], kept: Bools) -> int:
    """Writes the verdicts on these rules, and on the pairs that are `kept`, as a run on them would have; how many."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    asked = [rule.rule_id for rule in load_rule_set(folder / RULE_SET).rules]
    with whole(folder, VERDICTS):
        table = pq.read_table(readable(folder / VERDICTS))
        ids = table["rule_id"].to_pylist()
        if ids != asked * (len(ids) // len(asked)):
            raise ValueError("its rules are not those of the run")
        rows = table["row"].to_numpy()[:: len(asked)]
    wanted = np.isin(rows, pair_row_numbers(folder)[kept])
    places = np.arange(len(ids)).reshape(-1, len(asked))[wanted][:, [source.column for source in sources]]
    table = table.take(places.ravel())
    turned = np.tile([source.turned for source in sources], len(places))
    table = _replaced(table, "rule_id", pa.array(list(rule_ids) * len(places), pa.string()))
    if turned.any():
        table = _turned(table, turned)
    _write(target / VERDICTS, table)
    return int(table.num_rows)


def carry_pairs(folder: Path, target: Path, kept: Bools) -> dict[str, int]:
    """Writes the tables of the kept pairs; name of each file -> number of its rows."""
    import pyarrow.parquet as pq

    rows, written = pair_row_numbers(folder)[kept], {}
    for name in (HELD_OUT_PAIRS, BASELINES):
        if not (folder / name).exists():
            continue
        with whole(folder, name):
            table = pq.read_table(readable(folder / name))
            table = table.filter(np.isin(table["row"].to_numpy(), rows))
        _write(target / name, table)
        written[name] = int(table.num_rows)
    return written


def carry_flips(
    target: Path, flips: dict[str, dict[str, float | None]], sources: Sequence[Source], rule_ids: Sequence[str]
) -> dict[str, int]:
    """A verdict that is turned around changes when the one that was asked for does."""
    if not flips:
        return {}
    own = {
        name: {
            rule_id: shares[source.asked_id]
            for source, rule_id in zip(sources, rule_ids, strict=True)
            if source.asked_id in shares
        }
        for name, shares in flips.items()
    }
    write_text(target / FLIPS, json.dumps(own, indent=2) + "\n")
    return {FLIPS: len(own)}


def pair_row_numbers(folder: Path) -> Any:
    """Of each pair of a run, the number of its row in the input."""
    import pyarrow.parquet as pq

    return pq.read_table(readable(folder / HELD_OUT_PAIRS), columns=["row"])["row"].to_numpy()


def _turned(table: Any, turned: Bools) -> Any:
    import pyarrow as pa

    labels, shares = table["verdict"].to_pylist(), table["p_yes"].to_pylist()
    labels = [TURNED.get(label, label) if turn else label for label, turn in zip(labels, turned, strict=True)]
    shares = [1 - share if turn and share is not None else share for share, turn in zip(shares, turned, strict=True)]
    table = _replaced(table, "verdict", pa.array(labels, pa.string()))
    return _replaced(table, "p_yes", pa.array(shares, pa.float64()))


def _replaced(table: Any, name: str, values: Any) -> Any:
    return table.set_column(table.schema.get_field_index(name), name, values)


def _write(path: Path, table: Any) -> None:
    import pyarrow.parquet as pq

    with writing(path, "wb") as file:
        pq.write_table(table, file, compression="zstd")
