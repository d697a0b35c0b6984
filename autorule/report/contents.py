"""What a report is made of: everything that a run folder holds, read once."""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from autorule.errors import AutoruleError, InputError, MissingExtraError, in_words
from autorule.records import Failure, Rule
from autorule.rules.rule_sets import RuleSet, load_rule_set
from autorule.runs.files import EVALUATION, FAILURES, MANIFEST, REWARDS, RULE_SET, read_records
from autorule.runs.manifest import RunManifest
from autorule.statistics.records import Evaluation
from autorule.statistics.weighting import SAME
from autorule.verification.verdict_tables import read_rewards

MOST_BINS = 25

T = TypeVar("T")


@dataclass(frozen=True)
class Distribution:
    """The rewards of one side."""

    name: str
    counts: tuple[int, ...]
    mean: float
    n: int
    n_unscored: int


@dataclass(frozen=True)
class RewardDistributions:
    edges: tuple[float, ...]
    """Of the bins, which all sides share."""
    sides: tuple[Distribution, ...]
    n_pairs: int
    """Pairs with a reward on both sides; 0 where rewards are not of pairs."""
    n_higher: int
    """Of these, whose chosen side has the higher reward."""
    n_tied: int

    @property
    def accuracy(self) -> float | None:
        """Share of pairs whose chosen side has the higher reward, ties a half."""
        return (self.n_higher + 0.5 * self.n_tied) / self.n_pairs if self.n_pairs else None


@dataclass(frozen=True)
class Contents:
    manifest: RunManifest
    rule_set: RuleSet | None
    rule_set_sha256: str | None
    evaluation: Evaluation | None
    rewards: RewardDistributions | None
    failures: dict[tuple[str, str], int]
    """(stage, kind) -> how many."""

    @property
    def rules(self) -> dict[str, Rule]:
        return {rule.rule_id: rule for rule in self.rule_set.rules} if self.rule_set is not None else {}


def read_contents(folder: Path) -> Contents:
    """Reads a run folder, of whatever kind and however far the run came.

    Raises InputError when the folder holds no run, or a file of it is broken; RuleSetError for the rule set;
    MissingExtraError without pyarrow where there are rewards.
    """
    if not (folder / MANIFEST).is_file():
        raise InputError(f"{folder} holds no run ({MANIFEST}): give a run folder, such as outputs/RUN_ID")
    rules_path = folder / RULE_SET
    return Contents(
        manifest=_read(folder / MANIFEST, lambda path: RunManifest.model_validate_json(path.read_bytes())),
        rule_set=load_rule_set(rules_path) if rules_path.exists() else None,
        rule_set_sha256=hashlib.sha256(rules_path.read_bytes()).hexdigest() if rules_path.exists() else None,
        evaluation=_read_if_there(folder / EVALUATION, lambda path: Evaluation.model_validate_json(path.read_bytes())),
        rewards=_read_if_there(folder / REWARDS, _read_distributions),
        failures=_read_if_there(folder / FAILURES, _count_failures) or {},
    )


def _read_if_there(path: Path, read: Callable[[Path], T]) -> T | None:
    return _read(path, read) if path.exists() else None


def _read(path: Path, read: Callable[[Path], T]) -> T:
    try:
        return read(path)
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "pyarrow", "report", f"reading {path.name}") from error
    except AutoruleError:
        raise
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise InputError(f"{path} can't be read: {where}: {first['msg']}; make it anew with this autorule") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} can't be read: {in_words(error)}; make it anew with this autorule") from error


def _count_failures(path: Path) -> dict[tuple[str, str], int]:
    return dict(sorted(Counter((failure.stage, failure.kind) for failure in read_records(path, Failure)).items()))


def _read_distributions(path: Path) -> RewardDistributions | None:
    """None when no completion has a reward."""
    values: dict[str, list[float]] = {}
    unscored: Counter[str] = Counter()
    sides_by_row: dict[int, dict[str, float]] = {}
    for record in read_rewards(path):
        name = record.side or "all completions"
        if record.reward is None:
            unscored[name] += 1
            continue
        values.setdefault(name, []).append(record.reward)
        if record.side is not None:
            sides_by_row.setdefault(record.row, {})[record.side] = record.reward
    if not values:
        return None
    edges = _edges(np.concatenate([np.asarray(own) for own in values.values()]))
    pairs = [sides for sides in sides_by_row.values() if len(sides) == 2]
    tied = [abs(sides["chosen"] - sides["rejected"]) < SAME for sides in pairs]
    higher = [sides["chosen"] > sides["rejected"] for sides in pairs]
    return RewardDistributions(
        edges=tuple(edges.tolist()),
        sides=tuple(
            Distribution(
                name=name,
                counts=tuple(np.histogram(own, edges)[0].tolist()),
                mean=float(np.mean(own)),
                n=len(own),
                n_unscored=unscored[name],
            )
            for name, own in sorted(values.items())
        ),
        n_pairs=len(pairs),
        n_higher=sum(more and not same for more, same in zip(higher, tied, strict=True)),
        n_tied=sum(tied),
    )


def _edges(values: NDArray[Any]) -> NDArray[Any]:
    """Bins of one width. Rewards that are counts of rules lie on a grid, and a bin that holds more points of it than
    its neighbour would show a peak where there is none: there, every bin holds as many."""
    distinct = np.unique(values.round(9))
    low, high = float(values.min()), float(values.max())
    if len(distinct) == 1:
        return np.array([low - 0.5, high + 0.5])
    n_wanted = min(MOST_BINS, int(np.ceil(2 * np.cbrt(len(values)))))  # Rice's rule
    step = float(np.diff(distinct).min())
    n_steps = (high - low) / step
    if n_steps > 100:
        return np.linspace(low, high, n_wanted + 1)
    per_bin = int(np.ceil((n_steps + 1) / n_wanted))
    n_bins = int(np.ceil((round(n_steps) + 1) / per_bin))
    return low - step / 2 + step * per_bin * np.arange(n_bins + 1)
