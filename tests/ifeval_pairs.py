"""Pairs of one prompt, from the official verdicts on IFEval, labelled by a hidden weighting of rule families."""

import gzip
import itertools
import json

import numpy as np

from autorule.statistics.matrix import NO, NOT_APPLICABLE, YES, PairMatrix

PAIRS_PER_PROMPT = 20


def responses_by_prompt(path):
    """Key of the prompt -> families of its instructions -> 1 or 0, for each response."""
    found = {}
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            followed = {}
            for rule, ok in zip(row["rules"], row["rule_followed"], strict=True):
                family = rule.split(":")[0]
                followed[family] = min(followed.get(family, 1), int(ok))
            found.setdefault(row["key"], []).append(followed)
    return found


def hidden_weighting(path, seed, noise=0.1):
    """(matrix with families as rules, weight of each family, whether families conflict in each pair).

    Of two responses the one with the greater sum of weights is preferred, but for a share of `noise`.
    """
    rng = np.random.default_rng(seed)
    by_prompt = responses_by_prompt(path)
    families = sorted({family for responses in by_prompt.values() for own in responses for family in own})
    weights = dict(zip(families, rng.permutation(np.geomspace(0.25, 4, len(families))), strict=True))
    sides, prompts = [], []
    for prompt, responses in enumerate(by_prompt.values()):
        apart = [
            (one, other) if worth > 0 else (other, one)
            for one, other in itertools.combinations(responses, 2)
            if abs(worth := sum(weights[f] * (one[f] - other[f]) for f in one)) > 1e-9
        ]
        drawn = rng.permutation(len(apart))[:PAIRS_PER_PROMPT]
        sides += [apart[i] if rng.random() >= noise else apart[i][::-1] for i in drawn]
        prompts += [prompt] * len(drawn)

    def labels(side):
        return [[(NO, YES)[own[family]] if family in own else NOT_APPLICABLE for family in families] for own in side]

    chosen, rejected = (np.array(labels(side), dtype=np.int8) for side in zip(*sides, strict=True))
    matrix = PairMatrix(tuple(families), chosen, rejected, np.array(prompts))
    differences = np.nan_to_num(matrix.differences())
    conflict = (differences > 0).any(axis=1) & (differences < 0).any(axis=1)
    return matrix, np.array([weights[family] for family in families]), conflict
