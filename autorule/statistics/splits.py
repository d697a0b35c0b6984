"""Pairs into dev and test, by prompt: which side a prompt is on depends on the prompt and the seed alone."""

import hashlib

import numpy as np

from autorule.statistics.matrix import Bools, Ints

TEST_SHARE = 0.3
PROMOTION_SHARE = 0.2


def on_test(prompts: Ints, seed: int = 0, share: float = TEST_SHARE) -> Bools:
    """Whether each pair belongs to the test part; all pairs of a prompt do, or none.

    A prompt stays on its side when other pairs come or go, so that weights chosen today are not tested on tomorrow's
    file with prompts they were fitted to.
    """
    return _part(prompts, f"test split {seed}", share)


def promotion_split(prompts: Ints, share: float = PROMOTION_SHARE) -> Bools:
    """Whether each pair belongs to the part by which one rule set is promoted over another.

    No seed: the part is the same in every file and for ever, and independent of dev and test.
    """
    return _part(prompts, "promotion split", share)


def _part(prompts: Ints, salt: str, share: float) -> Bools:
    distinct, inverse = np.unique(prompts, return_inverse=True)
    chosen = [_fraction(salt, int(prompt)) < share for prompt in distinct]
    return np.array(chosen, dtype=np.bool_)[inverse] if len(distinct) else np.zeros(0, dtype=np.bool_)


def _fraction(salt: str, prompt: int) -> float:
    digest = hashlib.sha256(f"{salt} {prompt}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 256**7
