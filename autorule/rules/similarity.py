"""Which texts say nearly the same: unit vectors of texts, compared in blocks.

No n × n matrix is ever held, only a few rows of it.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

PRODUCTS_PER_BLOCK = 4_000_000
"""About 64 MB of values and indices."""


class SimilarPair(NamedTuple):
    first: int
    second: int
    """Index of the later text: first < second."""
    similarity: float
    """Cosine, 0 to 1."""


def similar_pairs(vectors: Any, threshold: float) -> Iterator[SimilarPair]:
    """Every pair of rows whose cosine is at least `threshold`; none when there are no vectors."""
    if vectors is None:
        return
    import numpy as np

    n = vectors.shape[0]
    # Rules share words ("The response should"), so that a block is nearly dense: its height falls as the texts grow.
    height = max(16, PRODUCTS_PER_BLOCK // n)
    for start in range(0, n, height):
        block = _dense(vectors[start : start + height] @ vectors[start:].T)
        rows, columns = np.nonzero(block >= threshold)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            if row < column:
                yield SimilarPair(start + row, start + column, float(block[row, column]))


def _never(_: int, __: int) -> bool:
    return False


def leader_clusters(
    vectors: Any, threshold: float, max_size: int, apart: Callable[[int, int], bool] = _never
) -> list[list[int]]:
    """The rows in clusters of at most `max_size`, each around its earliest row.

    A row joins the most similar earlier leader within the threshold that has room, or else leads a cluster of its
    own. Rows that `apart` tells apart never share a cluster. So no chain of small steps ties unlike texts together, and
    the result depends on nothing but the order. Rows are compared with leaders only: time grows with rows × clusters.
    """
    import numpy as np

    clusters: list[list[int]] = []
    start = 0
    n = vectors.shape[0]
    while start < n:
        stop = min(n, start + max(256, PRODUCTS_PER_BLOCK // max(n - start, len(clusters), 1)))
        block = vectors[start:stop]
        earlier = _dense(block @ vectors[[cluster[0] for cluster in clusters]].T) if clusters else None
        within = _dense(block @ block.T)
        new: list[int] = []
        for row in range(stop - start):
            own = within[row, new]
            near = own if earlier is None else np.concatenate((earlier[row], own))
            candidates = np.flatnonzero(near >= threshold)
            by_similarity = candidates[np.argsort(-near[candidates], kind="stable")]
            with_room = (index for index in by_similarity if len(clusters[index]) < max_size)
            here = start + row
            joined = next((i for i in with_room if not any(apart(member, here) for member in clusters[i])), None)
            if joined is None:
                clusters.append([here])
                new.append(row)
            else:
                clusters[joined].append(here)
        start = stop
    return clusters


def _dense(product: Any) -> Any:
    return product.toarray() if hasattr(product, "toarray") else product
