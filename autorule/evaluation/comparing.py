"""Rule sets against each other: on the same pairs, across data sets, and by what they cost."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from autorule.backends.token_estimate import estimate_tokens
from autorule.errors import InputError
from autorule.evaluation.pair_table import is_seen
from autorule.evaluation.reading import matrix_pairs, read_matrix
from autorule.evaluation.run_manifest import read_manifest
from autorule.records import Record, content_id
from autorule.rules.rule_sets import RuleSet, dump_rule_set, load_rule_set
from autorule.runs.files import RULE_SET
from autorule.runs.manifest import RunManifest
from autorule.statistics.agreement import FALSE_DISCOVERY_RATE, measure_agreement
from autorule.statistics.matrix import Bools, Floats, Ints, PairMatrix
from autorule.statistics.records import Interval
from autorule.statistics.resampling import ROUNDS, bootstrap_means
from autorule.statistics.rewarded import failed_pairs, rewarded_scores
from autorule.statistics.weighting import pair_accuracy

SHOWN_HASH = 12


class Compared(Record):
    """One rule set on one data set."""

    folder: str
    run: str
    """Name of the folder; all of its path where two have the same name."""
    rule_set: str
    """Name of its file and the beginning of the sha256 of the rule set in the run folder."""
    model: str
    """That verified; empty where the run does not say."""
    data: str
    """Name of the file of pairs and the beginning of its sha256."""
    n_rules: int
    n_asked: int
    """Rules that the verifier is asked about; code decides the others."""
    n_significant: int
    """Rules that agree with people beyond chance."""
    n_pairs: int
    """Of prompts that none of the compared sets was mined from, or kept or weighed by."""
    n_seen: int
    """Pairs of such prompts, which are left out."""
    n_unscored: int = 0
    """Of n_pairs: those with a side that has no reward, because the verifier failed. They count for nothing."""
    accuracy: Interval
    """As the set's own reward counts; a pair to one of whose sides no rule applies is a tie."""
    question_tokens: int
    """Of all questions about one completion, estimated at four bytes each; its conversation comes on top once."""
    tokens_per_completion: float | None
    """Of the verification, as the model's server or tokenizer counted them; None where the cache answered some."""


class Difference(Record):
    """Two runs on the pairs that both were measured on."""

    data: str
    run: str
    minus: str
    """The other run."""
    n_pairs: int
    """Measured by both; 0 where they share none, as two small draws from one file may."""
    n_unscored: int = 0
    """Left out besides, because the verifier failed on them for one of the sets."""
    accuracy: Interval
    """Accuracy of the one minus that of the other, paired; bootstrap over prompts."""


class Comparison(Record):
    runs: tuple[Compared, ...]
    differences: tuple[Difference, ...]
    bootstrap_rounds: int
    seed: int


class EvaluatedRun(NamedTuple):
    """A run on held-out pairs, read back with the rule set that it measured."""

    folder: Path
    manifest: RunManifest
    rule_set: RuleSet
    matrix: PairMatrix
    pairs: list[dict[str, Any]]
    data_sha256: str

    @property
    def rule_set_sha256(self) -> str:
        """As `registry show` and the report have it."""
        return hashlib.sha256(dump_rule_set(self.rule_set).encode()).hexdigest()

    @property
    def model(self) -> str:
        """Identity of the model that verified."""
        return self.manifest.models.get("verification", "")

    def without(self, seen: frozenset[str]) -> "EvaluatedRun":
        """The run without pairs of these prompts. Raises InputError when none is left."""
        rows = np.flatnonzero([not is_seen(pair, seen) for pair in self.pairs])
        if not len(rows):
            raise InputError(
                f"{self.folder}: rules were mined from, kept or weighed by each of its prompts; take other pairs"
            )
        return self._replace(matrix=self.matrix.of(rows), pairs=[self.pairs[row] for row in rows])

    def failed(self) -> Bools:
        """Whether each pair has a side without a reward because the verifier failed, not because no rule applies."""
        return failed_pairs(self.matrix, self.rule_set.rules, self.rule_set.reward)

    def right(self) -> Floats:
        """Of each pair 1, ½ or 0; NaN where the verifier failed."""
        scores = rewarded_scores(self.matrix, self.rule_set.rules, self.rule_set.reward)
        return np.where(self.failed(), np.nan, np.nan_to_num(pair_accuracy(*scores), nan=0.5))


def compare(folders: Sequence[Path], rounds: int = ROUNDS, seed: int = 0) -> Comparison:
    """Folders of evaluations: each rule set's accuracy, and the differences of all that share a data set.

    Prompts that any of the sets was mined from, or kept or weighed by, are left out for all. Raises InputError for a
    folder that is no evaluation, for the same rule set, model and data twice, for pairs whose labels differ, and when
    nothing is left.
    """
    whole = [read_run(folder) for folder in folders]
    _check_distinct(whole)
    names = _names_of(folders)
    seen = frozenset(key for run in whole for key in run.rule_set.seen_prompts)
    runs = [run.without(seen) for run in whole]
    about = [
        _about(run, name, before.matrix.n_pairs, rounds, seed)
        for run, name, before in zip(runs, names, whole, strict=True)
    ]
    differences = [
        Difference(
            data=about[j].data, run=about[j].run, minus=about[i].run,
            **_difference(runs[j], runs[i], rounds, seed),
        )
        for i in range(len(runs))
        for j in range(i + 1, len(runs))
        if runs[i].data_sha256 == runs[j].data_sha256
    ]  # fmt: skip
    return Comparison(runs=tuple(about), differences=tuple(differences), bootstrap_rounds=rounds, seed=seed)


def _check_distinct(runs: Sequence[EvaluatedRun]) -> None:
    """The same rules on the same data are two runs when another model, or the same one otherwise, verified."""
    places: dict[str, Path] = {}
    for run in runs:
        key = content_id(run.rule_set_sha256, run.data_sha256, run.model, run.manifest.config.get("model"))
        if key in places:
            raise InputError(
                f"{run.folder} and {places[key]} are the same rules on the same data, by the same model; leave out one"
            )
        places[key] = run.folder


def _names_of(folders: Sequence[Path]) -> list[str]:
    names = [folder.resolve().name for folder in folders]
    return [str(folder) if names.count(name) > 1 else name for folder, name in zip(folders, names, strict=True)]


def read_run(folder: Path, rule_set: RuleSet | None = None) -> EvaluatedRun:
    """The run of a folder. `rule_set`: a set of the same rules, to count by its weights instead of those of the run.

    Raises InputError when the folder is no evaluation, or not of these rules.
    """
    manifest = read_manifest(folder)
    file = manifest.inputs.get("held_out", manifest.inputs.get("pairs"))
    if file is None:
        raise InputError(f"the run {manifest.run_id} names no file of pairs in its manifest; give an evaluation")
    rule_set = load_rule_set(folder / RULE_SET) if rule_set is None else rule_set
    matrix = read_matrix(folder, rule_set)
    if not matrix.n_pairs:
        raise InputError(f"{folder}: no pair has verdicts on both sides; there is nothing to compare")
    return EvaluatedRun(folder, manifest, rule_set, matrix, matrix_pairs(folder, matrix), file.sha256)


def _about(run: EvaluatedRun, name: str, n_before: int, rounds: int, seed: int) -> Compared:
    rules = run.rule_set.rules
    found = measure_agreement(run.matrix, run.manifest.config.get("false_discovery_rate", FALSE_DISCOVERY_RATE))
    right = run.right()
    [estimate] = bootstrap_means(right[:, None], run.matrix.prompts, seed, rounds, n_shares=1)
    file = run.manifest.inputs.get("held_out", run.manifest.inputs.get("pairs"))
    return Compared(
        folder=str(run.folder),
        run=name,
        rule_set=_name_of_rules(run),
        model=run.model,
        data=f"{Path(file.path).name if file else ''} {run.data_sha256[:6]}",
        n_rules=len(rules),
        n_asked=sum(rule.check is None for rule in rules),
        n_significant=int((found.significant & (found.agreement > 0.5)).sum()),
        n_pairs=run.matrix.n_pairs,
        n_seen=n_before - run.matrix.n_pairs,
        n_unscored=int(np.isnan(right).sum()),
        accuracy=estimate,
        question_tokens=sum(estimate_tokens(rule.text) for rule in rules if rule.check is None),
        tokens_per_completion=_tokens_per_completion(run.manifest),
    )


def _difference(one: EvaluatedRun, other: EvaluatedRun, rounds: int, seed: int) -> dict[str, Any]:
    """n_pairs, n_unscored and accuracy of a Difference."""
    gains, prompts = paired_gains(one, other)
    unknown = Interval(value=None, low=None, high=None)
    [estimate] = bootstrap_means(gains[:, None], prompts, seed, rounds) if len(gains) else [unknown]
    n_unscored = int(np.isnan(gains).sum())
    return {"n_pairs": len(gains) - n_unscored, "n_unscored": n_unscored, "accuracy": estimate}


def paired_gains(one: EvaluatedRun, other: EvaluatedRun) -> tuple[Floats, Ints]:
    """(of each pair that both have: how much more right `one` is, from -1 to 1, NaN where the verifier failed for one
    of them; the number of its prompt).

    Raises InputError when they prefer different sides of a pair.
    """
    place = {key_of(pair): i for i, pair in enumerate(other.pairs)}
    shared = [(i, place[key]) for i, pair in enumerate(one.pairs) if (key := key_of(pair)) in place]
    for i, j in shared:
        if one.pairs[i]["chosen_id"] != other.pairs[j]["chosen_id"]:
            raise InputError(
                f"{one.folder} and {other.folder} prefer different sides in row {one.pairs[i]['row']}; evaluate both "
                "with the same columns and winner values"
            )
    mine, theirs = np.array(shared, dtype=np.int64).reshape(-1, 2).T
    return one.right()[mine] - other.right()[theirs], one.matrix.prompts[mine]


def key_of(pair: dict[str, Any]) -> tuple[int, str]:
    """What a pair is known by in every run on its file."""
    return pair["row"], pair["pair_id"]


def _name_of_rules(run: EvaluatedRun) -> str:
    given = run.manifest.config.get("rules")
    name = Path(given).stem if isinstance(given, str) else run.manifest.run_id
    return f"{name} {run.rule_set_sha256[:SHOWN_HASH]}"


def _tokens_per_completion(manifest: RunManifest) -> float | None:
    """Only where nearly nothing came from the cache: else the calls that were sent are no fair sample."""
    usage = manifest.usage.get("verification")
    if usage is None or not usage.sent or usage.cached > 0.01 * usage.sent or not manifest.funnel.completions:
        return None
    return (usage.prompt_tokens + usage.completion_tokens) / manifest.funnel.completions
