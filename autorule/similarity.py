"""Which texts say nearly the same: TF-IDF of words and character n-grams, compared in sparse blocks.

No n × n matrix is ever held, only a few rows of it; time still grows with the square of the number of texts.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from autorule.errors import MissingExtraError

PRODUCTS_PER_BLOCK = 4_000_000
"""About 64 MB of values and indices."""


class SimilarPair(NamedTuple):
    first: int
    second: int
    """Index of the later text: first < second."""
    similarity: float
    """Cosine, 0 to 1."""


def text_vectors(texts: list[str]) -> Any:
    """Unit vectors of the texts as rows of a sparse matrix; None when no text has a word.

    Raises MissingExtraError without scikit-learn.
    """
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.pipeline import make_union
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "data", "comparing texts") from error
    from sklearn.preprocessing import normalize

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True)
    try:
        return normalize(make_union(words, characters).fit_transform(texts)).tocsr()
    except ValueError:
        return None


def similar_pairs(texts: list[str], threshold: float) -> Iterator[SimilarPair]:
    """Every pair of texts whose cosine is at least `threshold`. Raises MissingExtraError without scikit-learn."""
    vectors = text_vectors(texts)
    if vectors is None:
        return
    # Rules share words ("The response should"), so that a block is nearly dense: its height falls as the texts grow.
    height = max(16, PRODUCTS_PER_BLOCK // len(texts))
    for start in range(0, len(texts), height):
        block = (vectors[start : start + height] @ vectors.T).tocoo()
        rows = block.row + start
        kept = (block.data >= threshold) & (rows < block.col)
        yield from map(SimilarPair, rows[kept].tolist(), block.col[kept].tolist(), block.data[kept].tolist())


def leader_clusters(texts: list[str], threshold: float, max_size: int) -> list[list[int]]:
    """The texts in clusters of at most `max_size`, each around its earliest text.

    A text joins the most similar earlier leader within the threshold that has room, or else leads a cluster of its
    own. So no chain of small steps ties unlike texts together, and the result depends on nothing but the order.
    """
    neighbours: dict[int, list[tuple[float, int]]] = {}
    for first, second, similarity in similar_pairs(texts, threshold):
        neighbours.setdefault(second, []).append((-similarity, first))
    clusters: dict[int, list[int]] = {}
    for index in range(len(texts)):
        near = (leader for _, leader in sorted(neighbours.get(index, ())) if leader in clusters)
        leader = next((leader for leader in near if len(clusters[leader]) < max_size), None)
        if leader is None:
            clusters[index] = [index]
        else:
            clusters[leader].append(index)
    return list(clusters.values())
