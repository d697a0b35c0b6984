"""What a server's own tokenizer takes for markers is broken up; where it does not tell, those that are known."""

import asyncio
import json

import pytest
from aiohttp import ClientConnectionError

from autorule.backends.base import GenerateRequest
from autorule.backends.markers import MOST_ASKED, Markers
from autorule.backends.openai_compatible import OpenAICompatibleBackend
from autorule.config.models import ModelConfig
from autorule.config.stages import Sampling
from autorule.rewards.reward_model import RewardModel
from autorule.rewards.settings import RewardModelConfig
from tests.conftest import messages
from tests.integration.scripted_server import ScriptedServer

OWN = ("<new:turn>", "[NEWTURN]", "]~new[", "<结束>")
TEXT = "a<new:turn>b [NEWTURN] ]~new[ <结束> <b>bold</b> [12] [x](y) [[NEWTURN]] <|im_end|>"
BROKEN_UP = (
    ("a<_new:turn>b [_NEWTURN] ]_~new[ <_结束> <b>bold</b> [12] [x](y) [[_NEWTURN]] <_|im_end|>")
    .replace("_n", "\u200bn")
    .replace("[_", "[\u200b")
    .replace("<_", "<\u200b")
    .replace("]_", "]\u200b")
)


def tokenized(body):
    """As vLLM's /tokenize, of a model with markers of its own."""
    assert body["prompt"] == body["content"] and body["add_special_tokens"] is False
    return {"tokens": [7] if body["prompt"] in OWN or body["prompt"] == "a" else [1, 2, 3]}


def sent(server, text):
    model = ModelConfig(backend="openai_compatible", model="m", base_url=server.base_url)
    backend = OpenAICompatibleBackend(model)
    for number in range(2):
        [_] = backend.generate([GenerateRequest(f"r{number}", "mining", messages(text), Sampling())])
    backend.close()
    return server.log[-1]["messages"][0]["content"]


def test_a_server_is_asked_once_for_each_text_that_looks_like_a_marker():
    with ScriptedServer(answer_at={"/tokenize": tokenized}) as server:
        assert sent(server, TEXT) == BROKEN_UP
        asked = [body["prompt"] for body in server.sent_to["/tokenize"]]
    assert len(asked) == len(set(asked)) and set(OWN) < set(asked) and "[12]" not in asked


@pytest.mark.parametrize("reply", [{}, {"tokens": None}, [], {"tokens": []}, "text"])
def test_a_server_that_does_not_tell_has_the_known_ones(reply):
    with ScriptedServer(answer_at={"/tokenize": lambda _: reply}) as server:
        assert sent(server, "<new:turn> <|im_end|>") == "<new:turn> <\u200b|im_end|>"
        assert len(server.sent_to["/tokenize"]) == 1
    with ScriptedServer() as server:
        assert sent(server, "<new:turn> <|im_end|>") == "<new:turn> <\u200b|im_end|>"


def test_a_server_that_adds_a_token_to_each_text_is_understood():
    with ScriptedServer(answer_at={"/tokenize": lambda body: {"tokens": [0, *tokenized(body)["tokens"]]}}) as server:
        assert sent(server, TEXT) == BROKEN_UP


def test_a_server_that_fails_for_once_is_asked_again():
    n_asked = 0

    async def ask(body):
        nonlocal n_asked
        n_asked += 1
        return None if n_asked == 2 else tokenized(body)  # a fault of the server is no reply

    markers = Markers("m")
    for shown in ("[\u200bNEWTURN]", "[\u200bNEWTURN]"):
        [turn] = asyncio.run(markers.broken_up(messages("[NEWTURN]"), ask))
        assert turn["content"] == shown
    assert n_asked == 3


def test_a_served_reward_model_is_shown_no_marker():
    paths = {"/tokenize": tokenized, "/classify": lambda _: {"data": [{"probs": [1.5]}]}}
    with ScriptedServer(answer_at=paths) as server:
        model = RewardModel(
            RewardModelConfig(model="m", base_url=server.base_url.removesuffix("/v1"), normalise="none")
        )
        assert model.scores([messages("Say <new:turn>.", "<|im_end|> and [NEWTURN]")] * 2) == [1.5, 1.5]
        [first, second] = [json.dumps(body["messages"], ensure_ascii=False) for body in server.sent_to["/classify"]]
    assert first == second and not [marker for marker in (*OWN, "<|im_end|>") if marker in first]


def test_what_is_not_known_is_broken_up_and_asking_has_an_end():
    n_asked = 0

    async def ask(body):
        nonlocal n_asked
        n_asked += 1
        if body["prompt"] == "<lost>":
            raise ClientConnectionError
        return {"tokens": [1] if body["prompt"] == "a" else [1, 2]}

    markers = Markers("m")
    [turn] = asyncio.run(markers.broken_up(messages("<kept> <lost>"), ask))
    assert turn["content"] == "<kept> <\u200blost>"
    many = " ".join(f"<t{number}>" for number in range(2 * MOST_ASKED))
    [turn] = asyncio.run(markers.broken_up(messages(many), ask))
    assert n_asked <= MOST_ASKED + 3 and turn["content"].count("\u200b") >= MOST_ASKED - 1
