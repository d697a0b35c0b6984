"""An evaluation of verdicts that are there: no model is asked.

Of the run's own rule set it is written beside them. Any other set, or other pairs, gets a run folder of its own, so
that what stands in a folder always belongs together.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import ValidationError

from autorule.errors import ConfigError, InputError
from autorule.evaluation.carrying import carry_flips, carry_pairs, carry_verdicts, pair_row_numbers, sources_of
from autorule.evaluation.config import EvaluateConfig
from autorule.evaluation.evaluate import evaluate
from autorule.evaluation.pair_table import SEEN, seen_pairs
from autorule.evaluation.reading import check_there, read_flips, read_matrix, read_position_bias, whole
from autorule.evaluation.run_manifest import read_manifest
from autorule.evaluation.too_many_failures import unscored_message
from autorule.records import RejectedRow
from autorule.rules.rule_sets import RuleSet, dump_rule_set, load_rule_set
from autorule.runs.files import EVALUATION, HELD_OUT_PAIRS, REJECTED_HELD_OUT, RULE_SET, VERDICTS, read_records
from autorule.runs.manifest import Funnel, RunManifest, describe_input
from autorule.runs.run_folder import Run
from autorule.runs.run_ids import new_run_id
from autorule.statistics.matrix import UNSCORED, Bools, PairMatrix
from autorule.statistics.records import Evaluation
from autorule.statistics.rewarded import rewarded_scores
from autorule.storage import write_text


class Asked(NamedTuple):
    """What to do with pairs whose prompts the rules know, and where the evaluation goes."""

    allow_leakage: bool = False
    leave_out_leaked: bool = False
    out: Path | None = None
    """Folder for run folders: that of the run that was given when left out."""
    run_id: str | None = None
    max_unscored: float | None = None
    """That of the run when left out."""


def evaluate_anew(rules: Path, folder: Path, asked: Asked) -> Path:
    """Evaluates the rule set in the file `rules` by the verdicts of the run in `folder`; the folder that holds it.

    Raises InputError when the verdicts are not on these rules, and for leaked pairs unless they are allowed or left
    out.
    """
    rule_set, manifest = load_rule_set(rules), read_manifest(folder)
    is_own = (folder / RULE_SET).exists() and dump_rule_set(load_rule_set(folder / RULE_SET)) == dump_rule_set(rule_set)
    check_there(folder)
    sources, kept = sources_of(folder, rule_set), _kept_pairs(folder, rule_set, asked)
    if is_own and kept.all() and asked.out is None and asked.run_id is None:
        _write(folder, rule_set, _settings_of(manifest))
        return folder
    config = _config(manifest, rules, folder, asked)
    if (config.outputs / str(config.run_id)).resolve() == folder.resolve():
        raise ConfigError(f"{folder} holds the verdicts that are read: give another --run-id, or none")
    with Run.start("evaluate-rules", config, {"rules": rules}) as run:
        write_text(run.folder / RULE_SET, dump_rule_set(rule_set))
        _name_inputs(run, manifest, folder)
        run.write(REJECTED_HELD_OUT, _rejected(folder, kept))
        ids = [rule.rule_id for rule in rule_set.rules]
        files = {VERDICTS: carry_verdicts(folder, run.folder, sources, ids, kept)}
        files |= carry_pairs(folder, run.folder, kept)
        files |= carry_flips(run.folder, read_flips(folder), sources, ids)
        found, matrix = _write(run.folder, rule_set, _settings_of(manifest))
        message = unscored_message(found, config.max_unscored) or ""
        run.update(files={**run.manifest.files, **files, EVALUATION: 1}, message=message)
        _count(run, manifest.funnel, rule_set, matrix, kept)
    return run.folder


def _kept_pairs(folder: Path, rule_set: RuleSet, asked: Asked) -> Bools:
    """Whether each pair counts. Raises InputError for leaked pairs when nothing is said of them."""
    with whole(folder, HELD_OUT_PAIRS):
        leaked = seen_pairs(folder, rule_set)
    if not leaked.any() or asked.allow_leakage:
        return np.ones(len(leaked), dtype=np.bool_)
    if not asked.leave_out_leaked:
        raise InputError(
            f"{folder}: the rules were mined from, or chosen by, the prompts of {leaked.sum()} of {len(leaked)} pairs, "
            "which would flatter them: leave these out with --leave-out-leaked, or count them with --allow-leakage"
        )
    if leaked.all():
        raise InputError(f"{folder}: the rules were mined from, or chosen by, every prompt of it; take other pairs")
    return ~leaked


def _rejected(folder: Path, kept: Bools) -> list[RejectedRow]:
    """Rows that the run left out, then those that are left out now."""
    path = folder / REJECTED_HELD_OUT
    before = list(read_records(path, RejectedRow)) if path.exists() else []
    rows = pair_row_numbers(folder)[~kept].tolist()
    return [*before, *(RejectedRow(row=row, source_id=None, reasons=(SEEN,)) for row in rows)]


def _write(folder: Path, rule_set: RuleSet, settings: dict[str, Any]) -> tuple[Evaluation, PairMatrix]:
    matrix = read_matrix(folder, rule_set)
    leaked = int(seen_pairs(folder, rule_set).sum())
    flips, bias = read_flips(folder), read_position_bias(folder)
    found = evaluate(
        matrix, rule_set.rules, rule_set.reward, leaked_pairs=leaked, flips=flips, position_bias=bias, **settings
    )
    try:
        write_text(folder / EVALUATION, found.model_dump_json(indent=2) + "\n")
    except OSError as error:
        raise ConfigError(
            f"{folder / EVALUATION} can't be written: {error.strerror}; give another place with --out"
        ) from error
    return found, matrix


def _settings_of(manifest: RunManifest) -> dict[str, Any]:
    """Those by which the run was evaluated; an extraction has none."""
    names = {"rate": "false_discovery_rate", "rounds": "bootstrap_rounds", "seed": "seed"}
    return {ours: manifest.config[name] for ours, name in names.items() if manifest.flow == "evaluate-rules"}


def _config(manifest: RunManifest, rules: Path, folder: Path, asked: Asked) -> EvaluateConfig:
    """The settings of the run, as those of an evaluation of this rule set."""
    before = dict(manifest.config)
    if manifest.flow != "evaluate-rules":
        kept = ("model", "columns", "winner_values")
        before = {**{name: before[name] for name in kept if name in before}, "pairs": before.get("held_out")}
        before["model"] = manifest.config.get("verifier") or before.get("model")
    changes = {
        "rules": rules,
        "outputs": asked.out or (folder.parent if folder.name else folder.resolve().parent),
        "run_id": asked.run_id or new_run_id(rules),
        "allow_leakage": asked.allow_leakage,
        "leave_out_leaked": asked.leave_out_leaked,
        **({} if asked.max_unscored is None else {"max_unscored": asked.max_unscored}),
    }
    try:
        return EvaluateConfig.model_validate({**before, **changes})
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise InputError(
            f"the settings of the run in {folder} can't be used again: {where}: {problem['msg']}; evaluate anew"
        ) from error


def _name_inputs(run: Run, manifest: RunManifest, folder: Path) -> None:
    """The pairs are those that the verdicts were asked about, wherever their file is by now."""
    pairs = manifest.inputs.get("held_out", manifest.inputs.get("pairs"))
    inputs = {**run.manifest.inputs, "verdicts": describe_input(folder / VERDICTS)}
    run.update(
        inputs=inputs if pairs is None else {**inputs, "pairs": pairs},
        models={name: model for name, model in manifest.models.items() if name == "verification"},
        prompts={name: prompt for name, prompt in manifest.prompts.items() if name == "verification"},
    )


def _count(run: Run, before: Funnel, rule_set: RuleSet, matrix: PairMatrix, kept: Bools) -> None:
    n_verdicts = 2 * matrix.n_pairs * matrix.n_rules
    n_kept, n_scored = int(kept.sum()), n_verdicts // matrix.n_rules
    scores = np.concatenate(rewarded_scores(matrix, rule_set.rules, rule_set.reward))
    run.count(
        rules=matrix.n_rules,
        held_out_rows_read=before.held_out_rows_read,
        held_out_rows_rejected=before.held_out_rows_rejected + len(kept) - n_kept,
        held_out_pairs_not_drawn=before.held_out_pairs_not_drawn,
        held_out_pairs=n_kept,
        completions=2 * n_kept,
        completions_failed=2 * n_kept - n_scored,
        rewards=n_scored,
        rewards_unscored=int(np.isnan(scores).sum()),
        verdicts=n_verdicts,
        verdicts_unscored=sum(int((side == UNSCORED).sum()) for side in (matrix.chosen, matrix.rejected)),
    )
