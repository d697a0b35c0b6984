"""A whole evaluation from a matrix of verdicts: no model is asked."""

from collections.abc import Mapping, Sequence

import numpy as np

from autorule.backends.token_estimate import estimate_tokens
from autorule.config.stages import RewardConfig
from autorule.errors import ConfigError, InputError
from autorule.records import Rule
from autorule.statistics.accuracies import accuracies, margin_bins, slice_accuracies
from autorule.statistics.agreement import FALSE_DISCOVERY_RATE
from autorule.statistics.choosing import choose_weights
from autorule.statistics.confidence import one_call_bins
from autorule.statistics.curves import learning_curves
from autorule.statistics.matrix import Floats, PairMatrix
from autorule.statistics.records import Curves, Evaluation, Matrix, Weightings
from autorule.statistics.redundancy import phi_of_differences, phi_of_verdicts
from autorule.statistics.resampling import ROUNDS
from autorule.statistics.rewarded import failed_pairs
from autorule.statistics.rule_statistics import rule_statistics
from autorule.statistics.threads import one_thread


def evaluate(
    matrix: PairMatrix,
    rules: Sequence[Rule],
    reward: RewardConfig | None = None,
    rate: float = FALSE_DISCOVERY_RATE,
    rounds: int = ROUNDS,
    seed: int = 0,
    leaked_pairs: int = 0,
    flips: Mapping[str, Mapping[str, float | None]] | None = None,
    position_bias: float | None = None,
) -> Evaluation:
    """Statistics of each rule and of the set, and what selection and weights would bring.

    `rules` are those of the matrix, in its order, and `reward` says how their set counts them. `flips`: what was
    changed in the question -> rule id -> share of verdicts that changed with it. `seed` fixes the split into dev and
    test, the folds and the bootstrap. Raises InputError when there is no pair.
    """
    if not matrix.n_pairs:
        raise InputError("no pair has verdicts on both sides: there is nothing to evaluate")
    reward = reward or RewardConfig()
    with one_thread():
        phi = phi_of_verdicts(matrix)
        tokens = [estimate_tokens(rule.text) for rule in rules]
        weightings, curves, no_weightings = _from_dev(matrix, rate, rounds, seed, reward.min_scored)
        return Evaluation(
            n_pairs=matrix.n_pairs,
            n_prompts=matrix.n_prompts,
            rules=tuple(rule_statistics(matrix, rules, phi, tokens, flips or {}, rate, reward.min_scored)),
            accuracies=tuple(accuracies(matrix, rules, reward, rounds, seed)),
            slices=tuple(slice_accuracies(matrix, rules, reward, rounds, seed)),
            margins=tuple(margin_bins(matrix, rules)),
            one_call_bins=tuple(one_call_bins(matrix)),
            phi_verdicts=_rounded(phi),
            phi_differences=_rounded(phi_of_differences(matrix)),
            weightings=weightings,
            no_weightings=no_weightings,
            curves=curves,
            position_bias=position_bias,
            false_discovery_rate=rate,
            bootstrap_rounds=rounds,
            seed=seed,
            leaked_pairs=leaked_pairs,
            unscored_pairs=int(failed_pairs(matrix, rules, reward).sum()),
        )


def _from_dev(
    matrix: PairMatrix, rate: float, rounds: int, seed: int, min_scored: float
) -> tuple[Weightings | None, Curves | None, str | None]:
    """What needs dev and test; without enough prompts the reason."""
    try:
        weightings = choose_weights(matrix, rate, rounds, seed, min_scored=min_scored)
    except ConfigError as error:
        return None, None, str(error)
    return weightings, learning_curves(matrix, rounds, seed, min_scored), None


def _rounded(values: Floats) -> Matrix:
    return tuple(tuple(float(x) if np.isfinite(x) else None for x in row) for row in np.round(values, 4))
