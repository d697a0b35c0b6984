"""Which rules to keep and how to weigh them: chosen on dev by cross-validation over whole prompts, refitted on dev,
and reported once on test prompts that neither selection nor weights have seen.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from autorule.errors import ConfigError
from autorule.statistics.agreement import FALSE_DISCOVERY_RATE
from autorule.statistics.baselines import baseline_scores
from autorule.statistics.matrix import Bools, Floats, Ints, PairMatrix
from autorule.statistics.records import WeightingResult, Weightings
from autorule.statistics.resampling import ROUNDS, bootstrap_means
from autorule.statistics.selection import Selected, select_rules
from autorule.statistics.splits import on_test
from autorule.statistics.threads import one_thread
from autorule.statistics.weighting import (
    hinge,
    log_odds,
    logistic,
    on_model,
    pair_accuracy,
    pair_scores,
    uniform,
    whitened,
)

FOLDS = 5
LEAST_DEV_PROMPTS = 10
LEAST_TEST_PROMPTS = 5
LEAST_SCORED = 0.8
"""Share of the rules that must have a verdict on both sides, as min_scored of a reward asks by default."""
PENALTIES = (0.01, 0.1, 1.0, 10.0)
"""Inverse strengths of a penalty (scikit-learn's C) among which cross-validation chooses."""
ALL = ":all"
"""End of the name of a method that weighs unproven rules and duplicates too; without it, only what selection keeps."""
HINGE = "hinge"
Fit = Callable[[PairMatrix], Floats]


class Method(NamedTuple):
    name: str
    fits: tuple[Fit, ...]
    """The same method with several strengths of its penalty; cross-validation takes the best."""
    all_rules: bool

    def weigh(self, fit: Fit, matrix: PairMatrix, decisions: Sequence[Selected]) -> Floats:
        """A weight for each rule, none negative; 0 for what is not kept. Rules that would get a negative one are left
        out, and the others fitted again without them."""
        kept = np.array(_kept(decisions, self.all_rules), dtype=np.int64)
        weights = np.zeros(matrix.n_rules)
        while len(kept):
            fitted = fit(matrix.of(rules=kept.tolist()))
            if (fitted >= 0).all():
                weights[kept] = fitted
                break
            kept = kept[fitted >= 0]
        return weights

    def right(self, matrix: PairMatrix, weights: Floats) -> Floats:
        """Whether each pair is told right. A pair on which no weighted rule speaks is a tie, so that methods are
        compared on the same pairs; hinge is scored together with the reward model."""
        scores = on_model(matrix, weights) if self.name.startswith(HINGE) else pair_scores(matrix, weights)
        return np.nan_to_num(pair_accuracy(*scores), nan=0.5)


class Fold(NamedTuple):
    """Pairs to fit on, what selection says of the rules on them alone, and pairs of other prompts to measure on."""

    train: PairMatrix
    decisions: Sequence[Selected]
    held_out: PairMatrix
    rows: Ints
    """Of the held-out pairs in the matrix that the fold is of."""


def methods(with_model: bool = False) -> list[Method]:
    """From the simplest on; of equally good ones the first is chosen."""
    plain: dict[str, tuple[Fit, ...]] = {
        "uniform": (uniform,),
        "log_odds": (log_odds,),
        "whitened": (whitened,),
        "logistic_l2": tuple(partial(logistic, c=c) for c in PENALTIES),
        "logistic_l1": tuple(partial(logistic, penalty="l1", c=c) for c in PENALTIES),
        "logistic_nonnegative": tuple(partial(logistic, nonnegative=True, c=c) for c in PENALTIES),
    }
    if with_model:
        plain[HINGE] = tuple(partial(hinge, c=c) for c in PENALTIES)
    return [
        Method(name + (ALL if every else ""), fits, every) for name, fits in plain.items() for every in (False, True)
    ]


def choose_weights(
    matrix: PairMatrix,
    rate: float = FALSE_DISCOVERY_RATE,
    rounds: int = ROUNDS,
    seed: int = 0,
    by: str = "best",
    min_scored: float = LEAST_SCORED,
) -> Weightings:
    """Every method's figure on dev and on test, and the chosen one: the best on dev, or the one named `by`.

    Pairs on which the verifier failed on more than 1 - `min_scored` of the rules are in neither. Weights of rules that
    are not proven, and weights on top of a reward model (hinge), which are scored together with it and know more than
    the others, are chosen by name only. Raises ConfigError for an unknown name and for too few prompts.
    """
    known = methods(matrix.chosen_model is not None)
    names = [method.name for method in known]
    if by != "best" and by not in names:
        hint = "; hinge needs scores of a reward model in the evaluation" if by.startswith(HINGE) else ""
        raise ConfigError(f"no weighting {by!r}: choose best, {', '.join(names)}{hint}")
    dev, test = dev_and_test(matrix, seed, min_scored)
    decisions = select_rules(dev, rate)
    with one_thread():
        folds = make_folds(dev, rate, seed)
        fitted = [_fit(method, folds, dev, decisions) for method in known]
    right = [method.right(test, weights) for method, (_, weights) in zip(known, fitted, strict=True)]
    plain = known[0].right(test, np.ones(test.n_rules))
    baselines = {name: pair_accuracy(*scores) for name, scores in baseline_scores(test, dev).items()}
    shares = [plain, *right, *baselines.values()]
    columns = np.column_stack([*shares, *(one - plain for one in right)])
    first, *others = bootstrap_means(columns, test.prompts, seed, rounds, n_shares=len(shares))
    differences = others[len(shares) - 1 :]
    results = [
        WeightingResult(
            method=method.name,
            dev_accuracy=accuracy,
            test=others[i],
            over_uniform=differences[i],
            weights=_scaled(matrix.rule_ids, weights),
            rule_weight=float(weights.sum()) if method.name.startswith(HINGE) else None,
        )
        for i, (method, (accuracy, weights)) in enumerate(zip(known, fitted, strict=True))
    ]
    ranked = [result for result in results if not result.method.startswith(HINGE) and not result.method.endswith(ALL)]
    return Weightings(
        n_dev_pairs=dev.n_pairs,
        n_test_pairs=test.n_pairs,
        n_dev_prompts=dev.n_prompts,
        n_test_prompts=test.n_prompts,
        n_unscored=matrix.n_pairs - dev.n_pairs - test.n_pairs,
        kept=tuple(matrix.rule_ids[i] for i in _kept(decisions, all_rules=False)),
        uniform_test=first,
        baselines_test=dict(zip(baselines, others[len(known) : len(shares) - 1], strict=True)),
        results=tuple(results),
        chosen=max(ranked, key=lambda result: round(result.dev_accuracy, 6)).method if by == "best" else by,
    )


def make_folds(matrix: PairMatrix, rate: float, seed: int = 0) -> list[Fold]:
    """Folds of whole prompts: each pair is held out once. Raises ConfigError for fewer prompts than folds."""
    from sklearn.model_selection import GroupKFold

    if matrix.n_prompts < FOLDS:
        raise ConfigError(f"{matrix.n_prompts} prompts are too few to cross-validate in {FOLDS} folds")
    splitter = GroupKFold(FOLDS, shuffle=True, random_state=seed)
    folds = []
    for fitted_on, rows in splitter.split(np.zeros(matrix.n_pairs), groups=matrix.prompts):
        train = matrix.of(fitted_on)
        folds.append(Fold(train, select_rules(train, rate), matrix.of(rows), rows))
    return folds


def out_of_fold(method: Method, fit: Fit, folds: Sequence[Fold]) -> Floats:
    """Whether each pair is told right (1, ½ or 0) by rules that were selected, and weights that were fitted, without
    any pair of its prompt."""
    right = np.full(sum(len(fold.rows) for fold in folds), np.nan)
    for fold in folds:
        right[fold.rows] = method.right(fold.held_out, method.weigh(fit, fold.train, fold.decisions))
    return right


def _fit(method: Method, folds: Sequence[Fold], dev: PairMatrix, decisions: Sequence[Selected]) -> tuple[float, Floats]:
    """(out-of-fold accuracy on dev, weights refitted on all of it) with the best strength of penalty."""
    accuracies = [float(out_of_fold(method, fit, folds).mean()) for fit in method.fits]
    best = int(np.argmax(np.round(accuracies, 6)))
    return accuracies[best], method.weigh(method.fits[best], dev, decisions)


def _kept(decisions: Sequence[Selected], all_rules: bool) -> list[int]:
    """Rules that selection keeps; with `all_rules` all but those that point the wrong way."""
    out = {"reversed"} if all_rules else {"reversed", "unproven", "duplicate"}
    return [i for i, one in enumerate(decisions) if one.decision not in out]


def dev_and_test(matrix: PairMatrix, seed: int, min_scored: float = LEAST_SCORED) -> tuple[PairMatrix, PairMatrix]:
    """The pairs to choose by, and those to test on; without those on which the verifier failed.

    Raises ConfigError when either has too few prompts.
    """
    scored = matrix.of(matrix.scored(min_scored))
    test: Bools = on_test(scored.prompts, seed)
    dev_part, test_part = scored.of(~test), scored.of(test)
    if dev_part.n_prompts < LEAST_DEV_PROMPTS or test_part.n_prompts < LEAST_TEST_PROMPTS:
        unscored = matrix.n_pairs - scored.n_pairs
        left_out = f"; the verifier failed on {unscored} of {matrix.n_pairs} pairs" if unscored else ""
        chosen_by = "" if dev_part.n_prompts or test_part.n_prompts < LEAST_DEV_PROMPTS else (
            "; all of them are for the test of a selection, as after `select`: choose by new pairs"
        )  # fmt: skip
        raise ConfigError(
            f"{scored.n_prompts} prompts are too few to choose weights: {dev_part.n_prompts} to choose by and "
            f"{test_part.n_prompts} to test on, where {LEAST_DEV_PROMPTS} and {LEAST_TEST_PROMPTS} are the least"
            f"{left_out}{chosen_by}"
        )
    return dev_part, test_part


def _scaled(rule_ids: Sequence[str], weights: Floats) -> dict[str, float]:
    """The weights above 0, with a mean of 1: only their ratios count in a fraction."""
    positive = weights > 0
    mean = float(weights[positive].mean()) if positive.any() else 1.0
    return {rule_ids[i]: float(weights[i] / mean) for i in np.flatnonzero(positive)}
