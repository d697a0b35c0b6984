"""What a rule set must beat: ways to score a pair that know nothing of rules."""

import numpy as np

from autorule.statistics.matrix import Floats, PairMatrix

Scores = tuple[Floats, Floats]
"""Of the chosen and of the rejected sides."""


def baseline_scores(matrix: PairMatrix, by: PairMatrix | None = None) -> dict[str, Scores]:
    """Name -> scores, of those that the matrix holds. Choosing at random is right half of the time.

    The position that the data favours is that on the pairs of `by`, on the matrix's own when left out.
    """
    ways: dict[str, Scores] = {"random": (np.zeros(matrix.n_pairs), np.zeros(matrix.n_pairs))}
    if matrix.chosen_length is not None and matrix.rejected_length is not None:
        ways["longer response"] = matrix.chosen_length, matrix.rejected_length
    favoured = (by or matrix).chosen_first
    if matrix.chosen_first is not None and favoured is not None and not np.isnan(favoured).all():
        first = np.nanmean(favoured) >= 0.5
        name = "response that the data gives first" if first else "response that the data gives second"
        score = matrix.chosen_first if first else 1 - matrix.chosen_first
        ways[name] = score, 1 - score
    if matrix.chosen_model is not None and matrix.rejected_model is not None:
        ways["reward model"] = matrix.chosen_model, matrix.rejected_model
    if matrix.one_call is not None:
        ways["one call about both"] = matrix.one_call, 1 - matrix.one_call
    return ways
