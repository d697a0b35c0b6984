"""Verdicts in token ids from servers that leave things out: what is missing is unscored, and nothing else is."""

import json
import math

import pytest
from starlette.responses import JSONResponse, Response

from autorule.backends.chat_tokens import load_chat_tokens
from autorule.backends.embedded import embedded_folder
from autorule.backends.openai_compatible import OpenAICompatibleBackend
from autorule.config.models import ModelConfig
from autorule.config.stages import VerificationConfig
from autorule.records import Failure
from autorule.verification.direct import build_request, questions_of, read_verdict
from tests.conftest import make_completion, make_rule_set
from tests.integration.scripted_server import ScriptedServer
from tests.scripts import digest

RULES = make_rule_set("It should be short.", "It should rhyme.", "It should be polite.")
COMPLETIONS = [make_completion(f"p{i}", f"text {i}", i) for i in range(40)]
N_VERDICTS = len(COMPLETIONS) * len(RULES.rules)


def token_answer(path, body):
    """As vLLM answers; P(yes) is a function of the prompt's token ids. 0.75 or 0.25 of a mass of 0.8."""
    prompts = body["prompt"] if path.endswith("completions") else [body["query"] + item for item in body["items"]]
    p_yes = [0.75 if digest(str(prompt)) % 2 else 0.25 for prompt in prompts]
    if path == "/generative_scoring":
        return {"data": [{"index": i, "score": p} for i, p in enumerate(p_yes)], "usage": {"prompt_tokens": 9}}
    ids = body["logprob_token_ids"]
    choices = []
    for index, p in enumerate(p_yes):
        n_yes = len(YES.intersection(ids))
        share = {i: 0.8 * (p / n_yes if i in YES else (1 - p) / (len(ids) - n_yes)) for i in ids}
        top = {f"token_id:{i}": math.log(share[i]) for i in ids}
        choices.append({"index": index, "logprobs": {"top_logprobs": [top]}})
    return {"choices": choices[::-1], "usage": {"prompt_tokens": 9}}


YES = set(load_chat_tokens(str(embedded_folder())).choice_ids(("Yes", "No"))["Yes"])


def backend_for(server, **fields):
    tokenizer = str(embedded_folder())
    return OpenAICompatibleBackend(
        ModelConfig(
            backend="openai_compatible", model="m", base_url=server.base_url, tokenizer=tokenizer, max_retries=1,
            retry_wait_s=0.01, **fields,
        )
    )  # fmt: skip


def answers_of(backend, rules=RULES):
    questions = questions_of(rules)
    requests = [build_request(completion, rules.verification, questions) for completion in COMPLETIONS]
    answers = list(backend.score_choices(requests))
    backend.close()
    assert len(answers) == N_VERDICTS
    return {(a.request.request_id, a.question.question_id): a.result for a in answers}


def read(key, result):
    completion_id, rule_id = key
    rule = next(rule for rule in RULES.rules if rule.rule_id == rule_id)
    return read_verdict(completion_id, rule, result, RULES.verification)


@pytest.mark.parametrize("scoring", ["auto", "generative_scoring"])
def test_one_request_a_conversation_and_the_same_p_yes_over_both_interfaces(scoring):
    with ScriptedServer(answer_tokens=token_answer) as server:
        answers = answers_of(backend_for(server, scoring=scoring))
        asked = [body for _, body in server.token_log][1:]  # the first was the probe
    assert not server.log, "nothing went over chat"
    assert len(asked) == len(COMPLETIONS)
    verdicts = [read(key, result) for key, result in answers.items()]
    assert {round(v.p_yes, 6) for v in verdicts} == {0.25, 0.75}
    assert {v.mass and round(v.mass, 6) for v in verdicts} == ({0.8} if scoring == "auto" else {None})


@pytest.mark.parametrize("scoring", ["auto", "generative_scoring"])
def test_what_a_reply_leaves_out_is_a_failure_of_its_question_alone(scoring):
    spoilt = set()

    def leaves_out(path, body):
        reply = token_answer(path, body)
        kind = digest(json.dumps(body)) % 8
        entries = reply.get("choices") or reply.get("data")
        if len(entries) == 1 or kind > 4:
            return reply
        entry = entries[0]
        spoilt.add((kind, entry["index"]))
        if kind == 0:
            entries.remove(entry)
        elif kind == 1:
            entry["logprobs"] = entry["score"] = None
        elif kind == 2:
            entry["logprobs"], entry["score"] = {"top_logprobs": [{"token_id:1": -0.1}]}, "0.5"
        elif kind == 3:
            entry["logprobs"], entry["score"] = {"top_logprobs": [{"Yes": None}]}, 1.5
        else:
            return Response("<html>")
        return reply

    with ScriptedServer(answer_tokens=leaves_out) as server:
        answers = answers_of(backend_for(server, scoring=scoring))
        asked = [(path, body) for path, body in server.token_log if len(body.get("prompt") or body["items"]) > 1]
    failures = [result for result in answers.values() if isinstance(result, Failure)]
    distinct = {json.dumps(body) for _, body in asked}
    kinds = [digest(body) % 8 for body in distinct]
    assert {kind for kind, _ in spoilt} == {0, 1, 2, 3, 4}, "every fault occurs"
    assert len(failures) == sum(1 for k in kinds if k < 4) + len(RULES.rules) * kinds.count(4)
    assert all(
        read(key, result).p_yes is not None for key, result in answers.items() if not isinstance(result, Failure)
    )


def test_a_server_that_ignores_the_asked_tokens_is_asked_over_chat():
    def ignores(path, body):
        if path == "/generative_scoring":
            return Response(status_code=404)
        top = [{"token_id:7": -0.1}] * len(body["prompt"])
        return {"choices": [{"index": i, "logprobs": {"top_logprobs": [t]}} for i, t in enumerate(top)]}

    with ScriptedServer(answer_tokens=ignores) as server:
        answers = answers_of(backend_for(server))
        assert len(server.log) == N_VERDICTS
    assert not any(isinstance(result, Failure) for result in answers.values())


def test_three_choices_go_in_token_ids_though_no_token_is_n_a():
    rules = make_rule_set(
        *(rule.text for rule in RULES.rules), verification=VerificationConfig(choices=("Yes", "No", "N/A"))
    )
    with ScriptedServer(answer_tokens=token_answer) as server:
        answers = answers_of(backend_for(server), rules)
    assert not server.log, "nothing went over chat"
    assert all(set(result.probabilities) == {"Yes", "No", "N/A"} and result.complete for result in answers.values())
    assert all(result.probabilities["N/A"] > 0 for result in answers.values())


def test_omitted_and_refused_fields_hold_in_token_ids():
    def refuses(path, body):
        if "return_tokens_as_token_ids" in body and len(body["prompt"]) > 1 and "temperature" in body:
            return JSONResponse({"error": {"message": "'temperature' is not supported"}}, 400)
        return token_answer(path, body)

    with ScriptedServer(answer_tokens=refuses) as server:
        fields = {"omit_fields": ("logprobs",), "extra_body": {"model": None}, "concurrency": 1}
        answers = answers_of(backend_for(server, **fields))
        sent = [body for _, body in server.token_log]
    assert not any(isinstance(result, Failure) for result in answers.values())
    assert not any({"logprobs", "model"} & body.keys() for body in sent)
    assert all(body["max_tokens"] == 1 for body in sent)
    assert sum("temperature" in body for body in sent) == 2, "the probe, and once more"
