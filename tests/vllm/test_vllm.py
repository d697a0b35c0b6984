"""The same verdicts from vLLM's server, vLLM in this process, and transformers."""

import dataclasses
import json
import logging

import numpy as np
import pytest

from autorule.backends.base import GenerateRequest
from autorule.backends.openai_compatible import OpenAICompatibleBackend
from autorule.backends.transformers_local import TransformersLocalBackend
from autorule.backends.vllm_engine import VllmEngineBackend
from autorule.config.models import ModelConfig
from autorule.config.stages import Sampling, VerificationConfig
from autorule.records import Failure
from autorule.verification.direct import build_request, questions_of
from tests.conftest import make_completion, make_rule_set, messages
from tests.vllm.conftest import EAGER

RULES = make_rule_set(
    "The response should be short.",
    "The response should name a fruit.",
    "The response should use a numbered list.",
    "The response should not repeat itself.",
    "The response should be polite.",
)
COMPLETIONS = [
    make_completion(prompt, text, row)
    for row, (prompt, text) in enumerate(
        (prompt, text)
        for prompt in ("Name a fruit.", "How do I boil an egg?", "Write a poem about the sea.", "What is 7 times 8?")
        for text in ("Pear.", "1. First.\n2. Second.", "I am sorry, I can't say. " * 12, "Sure, here you are: 56!", "")
    )
]


def requests_for(rules=RULES, completions=COMPLETIONS):
    questions = questions_of(rules)
    return [build_request(completion, rules.verification, questions) for completion in completions]


def p_yes(backend, requests):
    answers = {}
    for request, question, result in backend.score_choices(requests):
        assert not isinstance(result, Failure), result
        p = result.probabilities
        answers[request.request_id, question.question_id] = p["Yes"] / (p["Yes"] + p["No"])
    return np.array([answers[key] for key in sorted(answers)])


def agreement(ours, theirs):
    """Pearson correlation of the logits."""
    return np.corrcoef(np.log(ours / (1 - ours)), np.log(theirs / (1 - theirs)))[0, 1]


@pytest.fixture(scope="module")
def engine():
    config = ModelConfig(backend="vllm_engine", dtype="float32", max_model_len=2048, engine_args=EAGER)
    backend = VllmEngineBackend(config)
    yield backend
    backend.close()


@pytest.fixture(scope="module")
def transformers(server):
    return TransformersLocalBackend(ModelConfig(model=server.folder, dtype="float32"))


def over_http(server, **fields):
    return OpenAICompatibleBackend(
        ModelConfig(backend="openai_compatible", model=server.model, base_url=server.base_url, **fields)
    )


def test_in_process_p_yes_and_mass_are_those_of_transformers(server, engine, transformers):
    ours, theirs = p_yes(engine, requests_for()), p_yes(transformers, requests_for())
    assert len(ours) == len(COMPLETIONS) * len(RULES.rules)
    # In float32, where two engines differ by the order of sums alone; benchmarks/verification.py compares bfloat16.
    assert agreement(ours, theirs) >= 0.999
    assert np.abs(ours - theirs).max() <= 0.005
    first = next(iter(engine.score_choices(requests_for()))).result
    assert first.complete
    assert 0 < sum(first.probabilities.values()) <= 1.001


def test_the_server_takes_token_ids_which_is_found_out_by_asking(server, engine):
    backend = over_http(server)
    ours, theirs = p_yes(backend, requests_for()), p_yes(engine, requests_for())
    assert agreement(ours, theirs) >= 0.95
    requests = requests_for()[:1]
    [result, *_], [expected, *_] = (
        [answer.result for answer in each.score_choices(requests)] for each in (backend, engine)
    )
    assert result.complete
    assert result.probabilities.keys() == expected.probabilities.keys()
    assert sum(result.probabilities.values()) == pytest.approx(sum(expected.probabilities.values()), rel=0.1)
    backend.close()


def test_generative_scoring_agrees_and_claims_no_mass(server, engine):
    backend = over_http(server, scoring="generative_scoring")
    ours, theirs = p_yes(backend, requests_for()), p_yes(engine, requests_for())
    assert agreement(ours, theirs) >= 0.95
    result = next(iter(backend.score_choices(requests_for()[:1]))).result
    assert not result.complete, "this interface gives no mass, and does not pretend to"
    backend.close()


def test_chat_gives_mass_and_agrees_without_blank_lines(server, engine):
    rules = make_rule_set(*(r.text for r in RULES.rules), verification=VerificationConfig(prefix_block=1))
    backend = over_http(server, scoring="chat")
    ours, theirs = p_yes(backend, requests_for(rules)), p_yes(engine, requests_for(rules))
    assert agreement(ours, theirs) >= 0.95
    result = next(iter(backend.score_choices(requests_for()[:1]))).result
    assert result.complete
    backend.close()


def test_three_choices_on_every_engine(server, engine):
    rules = make_rule_set("It rhymes.", verification=VerificationConfig(choices=("Yes", "No", "N/A")))
    results = []
    for backend in (engine, over_http(server), over_http(server, scoring="chat")):
        ((_, _, result),) = backend.score_choices(requests_for(rules, COMPLETIONS[:1]))
        assert set(result.probabilities) == {"Yes", "No", "N/A"}
        results.append(result)
    assert results[0].probabilities["N/A"] > 0
    assert results[1].probabilities["N/A"] == pytest.approx(results[0].probabilities["N/A"], rel=0.25)


def test_a_conversation_beyond_the_context_is_cut_in_the_middle_on_every_engine(server, engine):
    long = make_completion("Name a fruit.", "pear and apple, " * 1875)  # 30,000 characters
    for backend in (engine, over_http(server), over_http(server, scoring="chat")):
        for _, _, result in backend.score_choices(requests_for(completions=[long])):
            assert not isinstance(result, Failure), result
            assert result.trimmed


def test_a_block_size_that_wastes_prefixes_is_named(server, caplog):
    backend = over_http(server)
    request = dataclasses.replace(requests_for()[0], align=1)
    with caplog.at_level(logging.WARNING):
        list(backend.score_choices([request]))
    assert "blocks hold 32 tokens" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        list(over_http(server).score_choices(requests_for()[:1]))
    assert "blocks hold" not in caplog.text, "conversations are filled up to whole blocks"


def test_the_engine_writes_answers_seeded_and_constrained(engine):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    free = GenerateRequest("a", "mining", messages("Name a fruit."), Sampling(max_tokens=8, temperature=0.8))
    bound = GenerateRequest("b", "mining", messages("A number?"), Sampling(max_tokens=24), json_schema=schema)
    one, other = ({a.request.request_id: a.result for a in engine.generate([free, bound])} for _ in range(2))
    assert one["a"].text == other["a"].text
    assert one["a"].usage.completion_tokens <= 8
    assert isinstance(json.loads(one["b"].text)["n"], int)


def test_a_prompt_that_does_not_fit_is_a_failure_of_its_own(engine):
    long = GenerateRequest("long", "mining", messages("word " * 4000), Sampling(max_tokens=8))
    short = GenerateRequest("short", "mining", messages("Hi."), Sampling(max_tokens=8))
    results = {a.request.request_id: a.result for a in engine.generate([long, short])}
    assert isinstance(results["long"], Failure)
    assert not isinstance(results["short"], Failure)
