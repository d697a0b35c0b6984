"""Which texts say nearly the same: TF-IDF of words and character n-grams, compared in sparse blocks.

No n × n matrix is ever held: memory grows with the number of texts and of similar pairs.
"""

from collections.abc import Iterator
from typing import NamedTuple

from autorule.errors import MissingExtraError

BLOCK = 1024


class SimilarPair(NamedTuple):
    first: int
    second: int
    """Index of the later text: first < second."""
    similarity: float
    """Cosine, 0 to 1."""


def similar_pairs(texts: list[str], threshold: float) -> Iterator[SimilarPair]:
    """Every pair of texts whose cosine is at least `threshold`. Raises MissingExtraError without scikit-learn."""
    if len(texts) < 2:
        return
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.pipeline import make_union
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "data", "folding similar rules") from error
    from sklearn.preprocessing import normalize

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True)
    try:
        vectors = normalize(make_union(words, characters).fit_transform(texts)).tocsr()
    except ValueError:
        return  # no text has a single word
    for start in range(0, len(texts), BLOCK):
        block = (vectors[start : start + BLOCK] @ vectors.T).tocoo()
        for row, column, value in zip(block.row, block.col, block.data, strict=True):
            if start + row < column and value >= threshold:
                yield SimilarPair(int(start + row), int(column), float(value))


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
