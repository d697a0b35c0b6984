"""Whether a rule set is to replace the current one: by pairs that neither was made from, and a level for each look.

Whoever compares often enough on the same pairs sees one set win by chance. So the k-th comparison on the same data is
made at the level ALPHA / (k (k + 1)); these levels sum to ALPHA over all comparisons that will ever be made, so that,
of sets that are no better, with a probability of at most ALPHA any is ever promoted (Bonferroni's inequality).
"""

import math

import numpy as np
from pydantic import Field

from autorule.code_checks import MOST
from autorule.errors import InputError
from autorule.evaluation.comparing import EvaluatedRun, key_of, paired_gains
from autorule.evaluation.pair_table import is_seen
from autorule.records import Record
from autorule.statistics.matrix import Floats, Ints
from autorule.statistics.records import Interval
from autorule.statistics.resampling import ROUNDS, bootstrap_means
from autorule.statistics.splits import PROMOTION_SHARE, promotion_split

ALPHA = 0.05
LEAST_PROMPTS = 30
MOST_UNSCORED = 0.1
"""Share of the pairs that may be left out because the verifier failed."""
N_TOLD = 50
"""Prompts that a decision tells, by which other data with some of the same prompts is known again."""
DRAWS_BEYOND = 50
"""Of the bootstrap, beyond each end of the interval: with fewer the end itself would be chance."""
MOST_ROUNDS = 1_000_000
"""What can be drawn in a minute or so: enough for the first 21 looks at ALPHA."""


class NotComparedError(InputError):
    """Two sets can't be compared on these pairs: nothing was looked at, and nothing is noted."""


class Decision(Record):
    """A comparison on the promotion split, and what follows from it."""

    promote: bool
    reason: str
    data_sha256: str
    """Of the file of pairs."""
    prompts: tuple[str, ...] = ()
    """The smallest hashes of prompts of the split: looks are counted by them, since a file may grow."""
    look: int = Field(ge=1, le=MOST)
    """The how manieth comparison on this data, or on other data with some of its prompts, from 1."""
    level: float = Field(gt=0, le=1)
    """Of the two-sided interval: its confidence is 1 - level."""
    difference: Interval
    """Accuracy of the candidate minus that of the current set, each as its own reward counts, paired."""
    n_pairs: int = Field(ge=0, le=MOST)
    n_prompts: int = Field(ge=0, le=MOST)
    n_seen: int = Field(ge=0, le=MOST)
    """Pairs of the promotion split left out, since either set was mined from, or chosen by, their prompts."""
    n_unscored: int = Field(0, ge=0, le=MOST)
    """Pairs left out since the verifier failed on a side of them, in either run."""
    rounds: int = Field(ge=1, le=MOST)
    """Of the bootstrap over prompts."""


def level_of_look(look: int, alpha: float = ALPHA) -> float:
    """The level of the `look`-th comparison, from 1; all of them sum to alpha."""
    return alpha / (look * (look + 1))


def rounds_for(level: float) -> int:
    """Rounds of the bootstrap for an interval at this level. Raises NotComparedError beyond MOST_ROUNDS."""
    rounds = max(ROUNDS, math.ceil(DRAWS_BEYOND / (level / 2)))
    if rounds > MOST_ROUNDS:
        raise NotComparedError(
            f"these pairs were looked at too often: a level of {level:.2g} takes {rounds:,} rounds of the bootstrap, "
            f"and at most {MOST_ROUNDS:,} are drawn; collect preferences on new prompts and evaluate both sets on them"
        )
    return rounds


def decide(
    current: EvaluatedRun,
    candidate: EvaluatedRun,
    looks: int,
    alpha: float = ALPHA,
    share: float = PROMOTION_SHARE,
    seed: int = 0,
) -> Decision:
    """Whether the candidate beats the current set on the promotion split. `looks`: earlier comparisons on this data.

    Only pairs of the split (`share` of all prompts) that neither set has seen count, and of these, pairs with a reward
    in both runs: what has none since the verifier failed is left out, and is no tie. Nothing is written: whoever calls
    keeps the decision, also a negative one, since it is a look. Raises InputError when the two runs are not on the same
    data by the same verifier; NotComparedError for fewer than LEAST_PROMPTS prompts, more than
    MOST_UNSCORED of the pairs without a reward, and after too many looks.
    """
    if current.data_sha256 != candidate.data_sha256:
        raise InputError(f"{current.folder} and {candidate.folder} are on different pairs; evaluate both on one file")
    verifiers = [run.manifest.models.get("verification") for run in (current, candidate)]
    if verifiers[0] != verifiers[1]:
        raise InputError(
            f"{current.folder} was verified by {verifiers[0]!r}, {candidate.folder} by {verifiers[1]!r}: their "
            "difference would be that of the verifiers; evaluate both with one"
        )
    split = np.flatnonzero(promotion_split(candidate.matrix.prompts, share))
    seen = candidate.rule_set.seen_prompts | current.rule_set.seen_prompts
    n_seen = sum(is_seen(candidate.pairs[i], seen) for i in split)
    mine, theirs = (_deciding(run, seen, share) for run in (candidate, current))
    rows = np.array([row for key, row in mine.items() if row is not None and theirs.get(key) is not None], np.int64)
    n_all = len(mine.keys() | theirs.keys())
    if (n_unscored := n_all - len(rows)) > MOST_UNSCORED * n_all and mine.keys() & theirs.keys():
        raise NotComparedError(
            f"{candidate.folder}, {current.folder}: the verifier failed on {n_unscored} of {n_all} pairs of the "
            f"promotion split, and at most {MOST_UNSCORED:.0%} may be left out; evaluate again, with other run ids: "
            "only what failed is asked"
        )
    own = candidate._replace(matrix=candidate.matrix.of(rows), pairs=[candidate.pairs[i] for i in rows])
    gains, prompts = paired_gains(own, current)
    n_prompts = len(np.unique(prompts))
    if n_prompts < LEAST_PROMPTS:
        raise NotComparedError(
            f"{candidate.folder}: {n_prompts} prompts of the promotion split ({share:.0%} of all) were never seen by "
            f"either set, and a decision takes {LEAST_PROMPTS}; evaluate both sets on more pairs, and select with "
            "--hold-out-promotion"
        )
    found = judge(gains, prompts, looks, candidate.data_sha256, n_seen, alpha, seed)
    return found.model_copy(update={"n_unscored": n_unscored, "prompts": told_prompts(candidate, share)})


def told_prompts(run: EvaluatedRun, share: float = PROMOTION_SHARE) -> tuple[str, ...]:
    """The smallest hashes of prompts of the split. Of two files that share a twentieth of these prompts, nine in ten
    have one in common here; of two that share none, none has."""
    split = np.flatnonzero(promotion_split(run.matrix.prompts, share))
    return tuple(sorted({run.pairs[i]["prompt_id"] for i in split})[:N_TOLD])


def _deciding(run: EvaluatedRun, seen: frozenset[str], share: float) -> dict[tuple[int, str], int | None]:
    """The unseen pairs of the split: key -> row of the matrix, None where the verifier failed."""
    failed = run.failed()
    split = np.flatnonzero(promotion_split(run.matrix.prompts, share))
    unseen = (int(i) for i in split if not is_seen(run.pairs[i], seen))
    return {key_of(run.pairs[i]): None if failed[i] else i for i in unseen}


def judge(
    gains: Floats,
    prompts: Ints,
    looks: int,
    data_sha256: str,
    n_seen: int = 0,
    alpha: float = ALPHA,
    seed: int = 0,
    rounds: int | None = None,
) -> Decision:
    """The decision on paired gains: how much more right the candidate is on each pair, from -1 to 1.

    `rounds`: of the bootstrap; as many as the level needs when left out. Raises NotComparedError after too many looks.
    """
    look = looks + 1
    level = level_of_look(look, alpha)
    rounds = rounds_for(level) if rounds is None else rounds
    [difference] = bootstrap_means(gains[:, None], prompts, seed, rounds, confidence=1 - level)
    n_prompts = len(np.unique(prompts))
    return Decision(
        promote=difference.low is not None and difference.low > 0,
        reason=_told(difference, look, level, f"{len(gains)} pairs of {n_prompts} prompts"),
        data_sha256=data_sha256,
        look=look,
        level=level,
        difference=difference,
        n_pairs=len(gains),
        n_prompts=n_prompts,
        n_seen=n_seen,
        rounds=rounds,
    )


def _told(difference: Interval, look: int, level: float, on: str) -> str:
    value, low, high = difference.value, difference.low, difference.high
    if value is None or low is None or high is None:
        return f"look {look}: nothing can be told from {on}"
    if low > 0:
        end = "the whole interval is above 0"
    elif high < 0:
        end = "the candidate is worse"
    else:
        end = "the interval holds 0, so it may be chance"
    return (
        f"look {look} on this data: {100 * value:+.1f} pp ({100 * low:.1f} to {100 * high:.1f} at the level "
        f"{level:.2g}) on {on}; {end}"
    )
