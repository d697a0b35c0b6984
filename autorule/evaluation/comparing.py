"""Rule sets against each other: on the same pairs, across data sets, and by what they cost."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from autorule.errors import InputError
from autorule.evaluation.agreement import measure_agreement
from autorule.evaluation.matrix import Floats, PairMatrix
from autorule.evaluation.reading import pair_keys, read_matrix
from autorule.evaluation.records import Interval
from autorule.evaluation.resampling import ROUNDS, bootstrap_means
from autorule.evaluation.weighting import pair_accuracy, pair_scores
from autorule.manifest import RunManifest
from autorule.records import Record, content_id
from autorule.rule_sets import RuleSet, dump_rule_set, load_rule_set
from autorule.run_folder import MANIFEST, RULE_SET
from autorule.token_estimate import estimate_tokens


class Compared(Record):
    """One rule set on one data set."""

    folder: str
    rule_set: str
    """Name of its file and the beginning of a hash of its content."""
    data: str
    """Name of the file of pairs and the beginning of its sha256."""
    n_rules: int
    n_asked: int
    """Rules that the verifier is asked about; code decides the others."""
    n_significant: int
    """Rules that agree with people beyond chance."""
    n_pairs: int
    accuracy: Interval
    """By the rules' own weights, hard; a pair without a score is a tie."""
    question_tokens: int
    """Of all questions about one completion, estimated at four bytes each; its conversation comes on top once."""
    tokens_per_completion: float | None
    """Of the calls that were sent, as the model's server or tokenizer counted them; None where the cache answered."""


class Difference(Record):
    """Two rule sets on the pairs that both were measured on."""

    data: str
    rule_set: str
    minus: str
    n_pairs: int
    accuracy: Interval
    """Accuracy of the one minus that of the other, paired; bootstrap over prompts."""


class Comparison(Record):
    runs: tuple[Compared, ...]
    differences: tuple[Difference, ...]
    bootstrap_rounds: int
    seed: int


class _Run(NamedTuple):
    about: Compared
    keys: list[tuple[int, str]]
    right: Floats
    matrix: PairMatrix


def compare(folders: Sequence[Path], rounds: int = ROUNDS, seed: int = 0) -> Comparison:
    """Folders of evaluations: each rule set's accuracy, and the differences of all that share a data set.

    Raises InputError for a folder that is no evaluation, and for the same rule set on the same data twice.
    """
    runs = [_read(folder, rounds, seed) for folder in folders]
    seen: dict[tuple[str, str], str] = {}
    for run in runs:
        key = run.about.rule_set, run.about.data
        if key in seen:
            raise InputError(f"{run.about.folder} and {seen[key]} are the same rules on the same data; leave out one")
        seen[key] = run.about.folder
    differences = [
        _difference(one, other, rounds, seed)
        for i, other in enumerate(runs)
        for one in runs[i + 1 :]
        if one.about.data == other.about.data
    ]
    return Comparison(
        runs=tuple(run.about for run in runs), differences=tuple(differences), bootstrap_rounds=rounds, seed=seed
    )


def _read(folder: Path, rounds: int, seed: int) -> _Run:
    try:
        manifest = RunManifest.model_validate_json((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder} has no {MANIFEST} of a run: {error!r:.200}; give the folder of an evaluation"
        ) from error
    rule_set = load_rule_set(folder / RULE_SET)
    matrix = read_matrix(folder, rule_set)
    weights = np.array([rule.weight for rule in rule_set.rules])
    right = np.nan_to_num(pair_accuracy(*pair_scores(matrix, weights)), nan=0.5)
    [estimate] = bootstrap_means(right[:, None], matrix.prompts, seed, rounds)
    found = measure_agreement(matrix)
    about = Compared(
        folder=str(folder),
        rule_set=_name_of_rules(manifest, rule_set),
        data=_name_of_data(manifest),
        n_rules=len(rule_set.rules),
        n_asked=sum(rule.check is None for rule in rule_set.rules),
        n_significant=int((found.significant & (found.agreement > 0.5)).sum()),
        n_pairs=matrix.n_pairs,
        accuracy=estimate,
        question_tokens=sum(estimate_tokens(rule.text) for rule in rule_set.rules if rule.check is None),
        tokens_per_completion=_tokens_per_completion(manifest, rule_set),
    )
    return _Run(about, pair_keys(folder, matrix), right, matrix)


def _difference(one: _Run, other: _Run, rounds: int, seed: int) -> Difference:
    place = {key: i for i, key in enumerate(other.keys)}
    shared = [(i, place[key]) for i, key in enumerate(one.keys) if key in place]
    if not shared:
        raise InputError(f"{one.about.folder} and {other.about.folder} have no pair in common")
    mine, theirs = (np.array(indices) for indices in zip(*shared, strict=True))
    gain = (one.right[mine] - other.right[theirs])[:, None]
    [estimate] = bootstrap_means(gain, one.matrix.prompts[mine], seed, rounds)
    return Difference(
        data=one.about.data,
        rule_set=one.about.rule_set,
        minus=other.about.rule_set,
        n_pairs=len(shared),
        accuracy=estimate,
    )


def _name_of_rules(manifest: RunManifest, rule_set: RuleSet) -> str:
    given = manifest.config.get("rules")
    name = Path(given).stem if isinstance(given, str) else manifest.run_id
    return f"{name} {content_id('rule set', dump_rule_set(rule_set))[:6]}"


def _name_of_data(manifest: RunManifest) -> str:
    file = manifest.inputs.get("held_out", manifest.inputs.get("pairs"))
    if file is None:
        raise InputError(f"the run {manifest.run_id} names no file of pairs in its manifest; give an evaluation")
    return f"{Path(file.path).name} {file.sha256[:6]}"


def _tokens_per_completion(manifest: RunManifest, rule_set: RuleSet) -> float | None:
    """Only where nearly nothing came from the cache: else the calls that were sent are no fair sample."""
    usage = manifest.usage.get("verification")
    if usage is None or not usage.sent or usage.cached > 0.01 * usage.sent:
        return None
    n_asked = sum(rule.check is None for rule in rule_set.rules)
    return (usage.prompt_tokens + usage.completion_tokens) * n_asked / usage.sent
