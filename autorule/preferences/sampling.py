"""Which pairs are drawn: by seed, and by a strategy.

All draws depend on the seed and the pairs alone, never on the label or on the order of the rows. Only `diverse` needs
all pairs at once; the others keep no more than they may draw.
"""

import hashlib
import heapq
from collections.abc import Iterable, Iterator
from typing import Any

from autorule.config.runs import Strategy
from autorule.errors import InputError
from autorule.records import Messages, PreferencePair

LENGTH_TOLERANCE = 0.1
"""Responses whose lengths differ by no more than this share of the longer one count as equally long."""
DIVERSE_POOL = 20_000
"""Pairs among which `diverse` chooses; of more, so many are drawn at random first."""


def draw(seed: int, *key: str) -> int:
    """A number of 64 bits fixed by the seed and the key: the same on every machine and for any order of rows."""
    return int.from_bytes(hashlib.sha256("\x1f".join((str(seed), *key)).encode()).digest()[:8])


def sample_pairs(
    pairs: Iterable[PreferencePair], limit: int | None, seed: int, strategy: Strategy = "random"
) -> Iterator[PreferencePair]:
    """`limit` pairs, in the order of their rows; all of them, as they come, when limit is None.

    random: each pair alike. stratified: as many from each stratum as can be. contrastive: pairs whose responses are
    about equally long first, so that length does not explain the choice. diverse: prompts far apart from each other
    (greedy farthest-first) by the vectors that came with the pairs, else in TF-IDF. Raises InputError when only some
    pairs have a vector or their lengths differ, MissingExtraError when TF-IDF lacks scikit-learn.
    """
    if limit is None:
        return iter(pairs)
    match strategy:
        case "random":
            drawn = heapq.nsmallest(limit, pairs, key=lambda pair: _rank(pair, seed))
        case "contrastive":
            drawn = heapq.nsmallest(limit, pairs, key=lambda pair: (_length_gap(pair), _rank(pair, seed)))
        case "stratified":
            drawn = _stratified(pairs, limit, seed)
        case "diverse":
            pool = heapq.nsmallest(max(limit, DIVERSE_POOL), pairs, key=lambda pair: _rank(pair, seed))
            drawn = _farthest_first(pool, limit)
    return iter(sorted(drawn, key=lambda pair: pair.row))


def _rank(pair: PreferencePair, seed: int) -> tuple[int, int]:
    return draw(seed, "sample", pair.pair_id), pair.row


def _length_gap(pair: PreferencePair) -> float:
    """By how much the lengths of the responses differ, beyond the tolerance, as a share of the longer one."""
    lengths = sorted((_n_chars(pair.chosen), _n_chars(pair.rejected)))
    return max(0.0, 1 - lengths[0] / max(1, lengths[1]) - LENGTH_TOLERANCE)


def _n_chars(messages: Messages) -> int:
    return sum(len(message.content) for message in messages)


def _stratified(pairs: Iterable[PreferencePair], limit: int, seed: int) -> list[PreferencePair]:
    best: dict[str, list[tuple[tuple[int, int], PreferencePair]]] = {}
    for pair in pairs:
        heap = best.setdefault(pair.stratum or "", [])
        rank = _rank(pair, seed)
        entry = ((-rank[0], -rank[1]), pair)  # negated: the heap's head is the one to go
        if len(heap) < limit:
            heapq.heappush(heap, entry)
        elif entry[0] > heap[0][0]:
            heapq.heapreplace(heap, entry)
    ranked = {
        stratum: [pair for _, pair in sorted(heap, key=lambda e: e[0], reverse=True)] for stratum, heap in best.items()
    }
    turns = sorted(ranked, key=lambda stratum: draw(seed, "stratum", stratum))
    rounds = ((index, stratum) for index in range(limit) for stratum in turns)
    chosen = (ranked[stratum][index] for index, stratum in rounds if index < len(ranked[stratum]))
    return [pair for _, pair in zip(range(limit), chosen, strict=False)]


def _farthest_first(pool: list[PreferencePair], limit: int) -> list[PreferencePair]:
    """Greedy k-centre: each next pair is the one whose prompt is least similar to all chosen so far."""
    import numpy as np

    from autorule.backends.text_vectors import text_vectors

    if len(pool) <= limit:
        return pool
    vectors = _given_vectors(pool)
    if vectors is None:
        vectors = text_vectors(["\n".join(message.content for message in pair.prompt) for pair in pool])
    if vectors is None:
        return pool[:limit]

    def similarities(index: int) -> Any:
        products = vectors @ vectors[[index]].T
        return (products.toarray() if hasattr(products, "toarray") else products).ravel()

    chosen = [0]
    nearest = similarities(0)
    nearest[0] = np.inf
    while len(chosen) < limit:
        farthest = int(nearest.argmin())
        chosen.append(farthest)
        nearest = np.maximum(nearest, similarities(farthest))
        nearest[chosen] = np.inf
    return [pool[index] for index in chosen]


def _given_vectors(pool: list[PreferencePair]) -> Any:
    """Unit vectors that came with the pairs, one row each; None when none has any."""
    import numpy as np

    lengths = {len(pair.embedding) if pair.embedding else 0: pair.row for pair in pool}
    if set(lengths) == {0}:
        return None
    if len(lengths) > 1:
        described = ", ".join(f"row {row} has {n or 'none'}" for n, row in sorted(lengths.items()))
        raise InputError(f"column embedding: every pair needs a vector of the same length; {described}")
    vectors = np.array([pair.embedding for pair in pool], dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
