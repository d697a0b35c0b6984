"""Vectors of texts from a server with OpenAI's /embeddings interface."""

from typing import Any

import numpy as np

from autorule.backends.in_flight import InFlight
from autorule.backends.keys import read_key, without_keys
from autorule.backends.retrying import FailedExchangeError, Patience, new_session, post_json
from autorule.backends.servers import Route, Servers
from autorule.config.stages import SimilarityConfig
from autorule.errors import BackendError, in_words

CONCURRENCY = 4
TIMEOUT_S = 120.0
MAX_RETRIES = 5


class EmbeddingsEndpoint:
    def __init__(self, config: SimilarityConfig) -> None:
        """Raises ConfigError when the key's environment variable holds no key."""
        assert config.base_url is not None and config.model is not None
        self._config = config
        self._key = read_key(config.api_key_env)

    def vectors(self, texts: list[str], max_retries: int = MAX_RETRIES) -> Any:
        """Unit vectors of the texts, float32, shape (texts, dimensions).

        Raises BackendError when the server does not answer with one vector for each text: a text without a vector
        must not look unlike every other.
        """
        size = self._config.batch_size
        batches = [texts[start : start + size] for start in range(0, len(texts), size)]
        in_flight = InFlight(CONCURRENCY)
        servers = Servers((self._config.base_url or "",))
        patience = Patience(max_retries, first_wait_s=1.0, server_wait_s=0.0)
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}

        async def embed(job: tuple[int, list[str]]) -> tuple[int, Any]:
            number, batch = job
            body = {"model": self._config.model, "input": batch, "encoding_format": "float"}
            async with new_session(TIMEOUT_S, headers) as session:
                reply = await post_json(session, servers, Route(), "embeddings", body, patience)
            return number, _read_vectors(reply, len(batch))

        try:
            parts = dict(in_flight.run(embed, list(enumerate(batches))))
            return np.concatenate([parts[number] for number in range(len(batches))])
        except (FailedExchangeError, ValueError, LookupError, TypeError, OverflowError, AttributeError) as error:
            reason = without_keys(in_words(error))
            raise BackendError(
                f"embeddings from {self._config.base_url} ({self._config.model}): {reason}; mend the server, or "
                "set synthesis.similarity.method to 'tfidf'"
            ) from None
        finally:
            in_flight.close()


def _read_vectors(reply: dict[str, Any], n_texts: int) -> Any:
    """Unit vectors. Raises ValueError and the like for what are none."""
    entries = sorted(reply["data"], key=lambda entry: entry["index"])
    indexes = [entry["index"] for entry in entries]
    if indexes != list(range(n_texts)) or any(type(index) is not int for index in indexes):
        raise ValueError(f"{len(entries)} vectors for {n_texts} texts")
    numbers = [entry["embedding"] for entry in entries]
    if any(type(number) not in (int, float) for vector in numbers for number in vector):
        raise ValueError("a vector holds what is no number")
    vectors = np.asarray(numbers, dtype=np.float64)
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if vectors.ndim != 2 or not np.isfinite(norms).all() or not norms.all():
        raise ValueError("a vector is all zeros or not finite")
    return (vectors / norms).astype(np.float32)
