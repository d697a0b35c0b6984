"""A run on held-out pairs, read back as a matrix."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autorule.errors import InputError, in_words
from autorule.evaluation.pair_table import SLICE
from autorule.evaluation.run_manifest import why_unfinished
from autorule.records import Rule
from autorule.rules.rule_sets import RuleSet, load_rule_set
from autorule.runs.files import BASELINES, EVALUATION, FLIPS, HELD_OUT_PAIRS, RULE_SET, VERDICTS
from autorule.statistics.matrix import NO, NOT_APPLICABLE, UNSCORED, YES, Floats, Ints, PairMatrix
from autorule.statistics.records import Evaluation
from autorule.storage import readable

LABELS = {"yes": YES, "no": NO, "not_applicable": NOT_APPLICABLE}


def read_matrix(folder: Path, rule_set: RuleSet) -> PairMatrix:
    """The verdicts of a run on held-out pairs, those of a shard that failed left out.

    Raises InputError when the folder is no such run, a file of it is broken, or its verdicts are not on these rules, by
    this prompt and these thresholds.
    """
    check_there(folder)
    _check_same_verifier(folder, rule_set)
    with whole(folder, VERDICTS):
        rows, labels, p_yes = _read_verdicts(folder, rule_set)
    first = np.arange(0, len(rows) - 1, 2)  # both sides of a pair follow each other, and a shard holds whole pairs
    if len(rows) % 2 or (rows[first] != rows[first + 1]).any():
        raise InputError(f"the verdicts in {folder} are not on pairs: give the folder of an evaluation")
    with whole(folder, HELD_OUT_PAIRS):
        known = read_pair_records(folder, rows[first])
        prompts = _prompt_numbers([row["prompt_id"] for row in known])
        strength = _column(known, "strength")
        lengths = _column(known, "chosen_length"), _column(known, "rejected_length")
        chosen_first = _column(known, "chosen_first")
        names = [name for name in (known[0] if known else ()) if name.startswith(SLICE)]
    with whole(folder, BASELINES):
        baselines = _rows_of(folder / BASELINES, rows[first]) if (folder / BASELINES).exists() else []
        models = _column(baselines, "chosen_model"), _column(baselines, "rejected_model")
        one_call = _one_call(baselines)
    soft = not np.isnan(p_yes).all()
    return PairMatrix(
        rule_ids=tuple(rule.rule_id for rule in rule_set.rules),
        chosen=labels[first],
        rejected=labels[first + 1],
        prompts=prompts,
        chosen_p=p_yes[first] if soft else None,
        rejected_p=p_yes[first + 1] if soft else None,
        chosen_length=lengths[0],
        rejected_length=lengths[1],
        strength=strength,
        chosen_first=chosen_first,
        chosen_model=models[0],
        rejected_model=models[1],
        one_call=one_call,
        slices={name.removeprefix(SLICE): [row[name] for row in known] for name in names},
        na_policy=rule_set.verification.na_policy,
    )


def check_there(folder: Path) -> None:
    """Raises InputError when the folder has no verdicts on held-out pairs; of an unfinished run with what to do."""
    for name in (HELD_OUT_PAIRS, VERDICTS):
        if not (folder / name).exists():
            otherwise = f"{folder} has no {name}: give the folder of an evaluation, or of an extraction with --held-out"
            raise InputError(why_unfinished(folder) or otherwise)


def matrix_pairs(folder: Path, matrix: PairMatrix) -> list[dict[str, Any]]:
    """The records of the pairs of a run's matrix, in its order."""
    import pyarrow.parquet as pq

    rows = pq.read_table(readable(folder / VERDICTS), columns=["row"])["row"].to_numpy()[:: 2 * matrix.n_rules]
    return read_pair_records(folder, rows)


def read_pair_records(folder: Path, rows: Ints) -> list[dict[str, Any]]:
    return _rows_of(folder / HELD_OUT_PAIRS, rows)


def read_evaluation(folder: Path) -> Evaluation:
    """What the run of an evaluation found. Raises InputError where there is no such file, with the reason."""
    path = folder / EVALUATION
    try:
        return Evaluation.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        cause = (
            f"no {EVALUATION}"
            if isinstance(error, OSError)
            else f"an {EVALUATION} that is broken or of another version"
        )
        otherwise = f"{folder} has {cause}; make it by `autorule evaluate RULE_SET --verdicts {folder}`"
        raise InputError(why_unfinished(folder) or otherwise) from error


def read_flips(folder: Path) -> dict[str, dict[str, float | None]]:
    """What was changed in the question -> rule id -> share of verdicts that changed; empty where nothing was tried."""
    path = folder / FLIPS
    with whole(folder, FLIPS):
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def read_position_bias(folder: Path) -> float | None:
    """Of the one-call verdicts of a run: mean probability, over both orders, of the response shown first."""
    import pyarrow.parquet as pq

    path = folder / BASELINES
    if not path.exists():
        return None
    with whole(folder, BASELINES):
        table = pq.read_table(readable(path), columns=["one_call_first", "one_call_second"])
        shown_first = [table["one_call_first"].to_numpy(), 1 - table["one_call_second"].to_numpy()]
    probabilities = np.concatenate(shown_first).astype(np.float64)
    return None if np.isnan(probabilities).all() else float(np.nanmean(probabilities))


@contextmanager
def whole(folder: Path, name: str) -> Iterator[None]:
    """What a broken or foreign file raises, as an InputError with its name."""
    try:
        yield
    except (KeyError, ValueError, TypeError, OSError) as error:
        raise InputError(
            f"{folder / name} can't be read: {in_words(error)}; evaluate again, with another run id"
        ) from error


def _check_same_verifier(folder: Path, rule_set: RuleSet) -> None:
    """Weights may differ from those of the run: nothing was asked by them."""
    if not (folder / RULE_SET).exists():
        return
    asked = load_rule_set(folder / RULE_SET)
    if [rule.rule_id for rule in asked.rules] != [rule.rule_id for rule in rule_set.rules]:
        raise InputError(
            f"the verdicts in {folder} are not those of this rule set; evaluate it anew, by these verdicts where "
            f"they are on all its rules: `autorule evaluate RULE_SET --verdicts {folder}`"
        )
    for rule, now in zip(asked.rules, rule_set.rules, strict=True):
        if as_asked(rule) != as_asked(now):
            raise InputError(
                f"the verdicts in {folder} were made with another text, threshold or check of rule {rule.rule_id}; "
                "evaluate the rule set anew"
            )
    if asked.verification != rule_set.verification:
        raise InputError(
            f"the verdicts in {folder} were made with other settings of the verification; evaluate the rule set anew"
        )


def as_asked(rule: Rule) -> tuple[Any, ...]:
    """What a verdict depends on, the direction in which it counts at the end."""
    return rule.text, rule.threshold, rule.check, rule.inverted


def _read_verdicts(folder: Path, rule_set: RuleSet) -> tuple[Ints, NDArray[np.int8], Floats]:
    """(row number, labels, P(yes)) of each completion, with a column for each rule. No text becomes an object."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(readable(folder / VERDICTS), columns=["row", "rule_id", "verdict", "p_yes"])
    rule_ids, names = [rule.rule_id for rule in rule_set.rules], list(LABELS)
    n_rules = len(rule_ids)
    place = pc.index_in(table["rule_id"], value_set=pa.array(rule_ids)).to_numpy()
    if len(place) % n_rules or (place.reshape(-1, n_rules) != np.arange(n_rules)).any():
        raise InputError(f"the verdicts in {folder} are not those of this rule set; evaluate it anew")
    index = pc.index_in(table["verdict"], value_set=pa.array(names)).fill_null(-1).to_numpy()
    if (index < 0).sum() != table["verdict"].null_count:
        raise ValueError(f"a verdict is none of {', '.join(names)} and null")
    labels = np.array([*LABELS.values(), UNSCORED], dtype=np.int8)[index].reshape(-1, n_rules)
    p_yes = table["p_yes"].to_numpy().astype(np.float64, copy=False).reshape(-1, n_rules)
    return table["row"].to_numpy()[::n_rules], labels, p_yes


def _rows_of(path: Path, rows: Ints) -> list[dict[str, Any]]:
    """The records of a table of pairs, in the order of these row numbers."""
    import pyarrow.parquet as pq

    by_row = {record["row"]: record for record in pq.read_table(readable(path)).to_pylist()}
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
