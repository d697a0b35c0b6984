"""Texts compared by vectors of a model: an embeddings server, and sentence-transformers with a small model on disk."""

import json

import numpy as np
import pytest
from starlette.responses import JSONResponse

from autorule.backends.text_vectors import open_vectoriser
from autorule.config.stages import SimilarityConfig
from autorule.errors import BackendError, ConfigError
from autorule.rules.rule_sets import load_rule_set
from autorule.rules.sense import sense_of
from autorule.rules.similarity import similar_pairs
from autorule.runs.files import RULE_SET
from tests.integration.scripted_server import ScriptedServer
from tests.integration.test_flows import extract

TEXTS = ["The response should be short.", "Answers ought to be brief.", "Every line should rhyme."]
MEANINGS = {"short": (2.0, 0.0), "brief": (2.0, 0.1), "rhyme": (0.0, 3.0)}


def embed(body):
    """One vector a text, given out of order as a server may."""
    vectors = [next((v for word, v in MEANINGS.items() if word in text), (0.5, 0.5)) for text in body["input"]]
    entries = [{"index": i, "embedding": list(vector)} for i, vector in enumerate(vectors)]
    return {"data": entries[::-1]}


def vectoriser(server, **settings):
    return open_vectoriser(SimilarityConfig(method="endpoint", model="e", base_url=server.base_url, **settings))


def test_an_embeddings_server_gives_unit_vectors_in_the_order_of_the_texts():
    with ScriptedServer(embed) as server:
        vectors = vectoriser(server, batch_size=2)(TEXTS)
    assert vectors.shape == (3, 2)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert [(p.first, p.second) for p in similar_pairs(vectors, 0.9)] == [(0, 1)]
    assert sorted(len(body["input"]) for body in server.log) == [1, 2]
    assert all(body["model"] == "e" for body in server.log)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda body: {"data": embed(body)["data"][:2]}, "2 vectors for 3 texts"),
        (lambda body: {"data": [{"index": i, "embedding": [0.0, 0.0]} for i in range(3)]}, "all zeros"),
        (lambda body: {"data": [{"index": i} for i in range(3)]}, "embedding"),
        (lambda body: {"data": [{"index": i, "embedding": ["1", "2"]} for i in range(3)]}, "no number"),
        (lambda body: {"data": [{"index": i, "embedding": [True, 1]} for i in range(3)]}, "no number"),
        (lambda body: {"data": [{"index": float(i), "embedding": [1, 2]} for i in range(3)]}, "3 vectors for 3"),
        (lambda body: {"data": [{"index": i, "embedding": [1e300, 1e300]} for i in range(3)]}, "not finite"),
        (lambda body: JSONResponse({"error": "no such model"}, status_code=404), "HTTP 404"),
    ],
)
def test_a_server_that_gives_no_vector_for_a_text_ends_the_run_with_the_reason(answer, message):
    with ScriptedServer(answer) as server, pytest.raises(BackendError, match=message):
        vectoriser(server)(TEXTS)


def test_synthesis_folds_by_the_vectors_of_the_server(tmp_path):
    with ScriptedServer(embed) as server:
        similarity = {"method": "endpoint", "model": "e", "base_url": server.base_url}
        synthesis = {"similarity": similarity, "fold_similarity": 0.99, "merge_rounds": 0}
        _, folder = extract(tmp_path, synthesis=synthesis)
    should, leave_out = load_rule_set(folder / RULE_SET).rules
    assert sense_of(should.text) is False
    assert sense_of(leave_out.text) is True
    # To this server all of the candidates mean the same; only a negation keeps two of them apart.
    assert should.support + leave_out.support == 48


def test_an_impossible_similarity_names_what_is_missing():
    for settings, message in (({"method": "endpoint", "model": "e"}, "base_url"), ({"method": "endpoint"}, "a model")):
        with pytest.raises(ValueError, match=message):
            SimilarityConfig(**settings)


def test_sentence_transformers_compare_by_a_model_on_disk(tmp_path):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    from transformers import BertConfig, BertModel, BertTokenizerFast

    words = sorted({word.strip(".").lower() for text in TEXTS for word in text.split()})
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", *words])}
    BertTokenizerFast(vocab=vocabulary).save_pretrained(tmp_path / "bert")
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    BertModel(config).save_pretrained(tmp_path / "bert")
    model = sentence_transformers.SentenceTransformer(str(tmp_path / "bert"), device="cpu")
    model.save(str(tmp_path / "model"))

    vectors = open_vectoriser(SimilarityConfig(method="sentence_transformers", model=str(tmp_path / "model")))(
        [*TEXTS, TEXTS[0]]
    )
    assert vectors.shape == (4, 16)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert (0, 3) in {(p.first, p.second) for p in similar_pairs(vectors, 0.9999)}
    assert json.dumps(vectors.tolist()).count("NaN") == 0
    with pytest.raises(ConfigError, match="can't be loaded"):
        open_vectoriser(SimilarityConfig(method="sentence_transformers", model=str(tmp_path / "nothing")))
