"""Texts as unit vectors, by which texts that say nearly the same are found.

TF-IDF of words and character n-grams by default; an embeddings server or a sentence-transformers model as options.
"""

from collections.abc import Callable
from typing import Any

from autorule.config.stages import SimilarityConfig
from autorule.errors import ConfigError, MissingExtraError, first_line

Vectoriser = Callable[[list[str]], Any]
"""Texts -> unit vectors as the rows of a matrix, sparse or dense; None when no text has a word."""


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


def _sentence_transformer(config: SimilarityConfig) -> Vectoriser:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise MissingExtraError("sentence-transformers", "embeddings", "comparing texts by meaning") from error
    try:
        model = SentenceTransformer(config.model, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"synthesis.similarity.model {config.model!r} can't be loaded: {first_line(error)}"
        ) from error

    def vectors(texts: list[str]) -> Any:
        return model.encode(
            texts,
            batch_size=config.batch_size,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )

    return vectors
