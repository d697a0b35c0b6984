"""Which texts say nearly the same: unit vectors of texts, compared in blocks.

TF-IDF of words and character n-grams by default; an embeddings server or a sentence-transformers model as options. No
n × n matrix is ever held, only a few rows of it.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from autorule.errors import ConfigError, MissingExtraError
from autorule.stage_config import SimilarityConfig

PRODUCTS_PER_BLOCK = 4_000_000
"""About 64 MB of values and indices."""

Vectoriser = Callable[[list[str]], Any]
"""Texts -> unit vectors as the rows of a matrix, sparse or dense; None when no text has a word."""


class SimilarPair(NamedTuple):
    first: int
    second: int
    """Index of the later text: first < second."""
    similarity: float
    """Cosine, 0 to 1."""


def open_vectoriser(config: SimilarityConfig) -> Vectoriser:
    """How texts become vectors. Raises ConfigError or MissingExtraError when that can't work."""
    match config.method:
        case "tfidf":
            return text_vectors
        case "endpoint":
            from autorule.backends.embeddings import EmbeddingsEndpoint

            return EmbeddingsEndpoint(config).vectors
        case "sentence_transformers":
            return _sentence_transformer(config)


def check_vectoriser(config: SimilarityConfig) -> None:
    """Raises what would end a run later: a missing package or model, or a server that does not embed a text."""
    if config.method == "endpoint":
        from autorule.backends.embeddings import EmbeddingsEndpoint

        EmbeddingsEndpoint(config).vectors(["The response should be clear."], max_retries=1)
    else:
        open_vectoriser(config)


def text_vectors(texts: list[str]) -> Any:
    """TF-IDF vectors of the texts, as a sparse matrix; None when no text has a word.

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


def leader_clusters(vectors: Any, threshold: float, max_size: int) -> list[list[int]]:
    """The rows in clusters of at most `max_size`, each around its earliest row.

    A row joins the most similar earlier leader within the threshold that has room, or else leads a cluster of its
    own. So no chain of small steps ties unlike texts together, and the result depends on nothing but the order. Rows
    are compared with leaders only: time grows with rows × clusters.
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
            joined = next((index for index in by_similarity if len(clusters[index]) < max_size), None)
            if joined is None:
                clusters.append([start + row])
                new.append(row)
            else:
                clusters[joined].append(start + row)
        start = stop
    return clusters


def _dense(product: Any) -> Any:
    return product.toarray() if hasattr(product, "toarray") else product


def _sentence_transformer(config: SimilarityConfig) -> Vectoriser:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise MissingExtraError("sentence-transformers", "embeddings", "comparing texts by meaning") from error
    try:
        model = SentenceTransformer(config.model, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ConfigError(f"synthesis.similarity.model {config.model!r} can't be loaded: {error}") from error

    def vectors(texts: list[str]) -> Any:
        return model.encode(
            texts,
            batch_size=config.batch_size,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )

    return vectors
