"""Any server with OpenAI's chat-completions interface: vLLM, SGLang, llama.cpp, TGI, or a hosted one; or several
servers of one model, which share the work.

One event-loop thread, one set of connections and one limit of requests in flight for the process, whichever shards ask:
a shard never waits for another's stragglers, and the server never sees more than `concurrency` requests.
"""

import logging
import threading
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, NamedTuple

import aiohttp

from autorule.backends.base import (
    Answer,
    ChoiceAnswer,
    ChoiceProbabilities,
    ChoiceRequest,
    GenerateRequest,
    Question,
)
from autorule.backends.chat_replies import naming_what_is_malformed, read_choices, read_output
from autorule.backends.chat_requests import sampling_fields
from autorule.backends.in_flight import InFlight
from autorule.backends.keys import quoted, read_key, without_keys
from autorule.backends.markers import Markers
from autorule.backends.refusal_words import says_too_long
from autorule.backends.refused_fields import RefusedFields
from autorule.backends.retrying import FailedExchangeError, Patience, new_session, post_json
from autorule.backends.servers import Route, Server, Servers
from autorule.backends.vllm_server import TIMEOUT_S, Scoring, find_scoring, get, is_listed, post, served_models
from autorule.config.models import ModelConfig
from autorule.errors import AutoruleError, BackendError, with_kind
from autorule.records import Failure, Messages, content_id

log = logging.getLogger(__name__)
TOP_LOGPROBS = 20


class _Ask(NamedTuple):
    """One question over chat, or all questions of the request at once."""

    request: ChoiceRequest
    question: Question | None
    route: Route
    scoring: Scoring | None = None


class OpenAICompatibleBackend:
    batch_size = None

    def __init__(self, config: ModelConfig) -> None:
        """Raises ConfigError when the key's environment variable holds no key."""
        self._config = config
        self.identity = f"openai_compatible:{config.model}" + (f"@{config.revision}" if config.revision else "")
        if config.extra_body:
            self.identity += f"+{content_id(config.extra_body)}"
        if config.omit_fields:
            self.identity += f"-{content_id(sorted(config.omit_fields))}"
        self._fields = RefusedFields(config.omit_fields)
        self._markers = Markers(config.model)
        self._key = read_key(config.api_key_env)
        self._headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        self._servers = Servers(config.base_url)
        self._patience = Patience(config.max_retries, config.retry_wait_s, config.server_wait_s)
        self._session: aiohttp.ClientSession | None = None
        self._in_flight = InFlight(config.concurrency * len(config.base_url))
        self._lock = threading.Lock()
        self._scoring: Scoring | None = None
        self._looked_for_scoring = False

    def generate(self, requests: Iterable[GenerateRequest]) -> Iterator[Answer]:
        return self._in_flight.run(self._generate_one, requests)

    def score_choices(self, requests: Iterable[ChoiceRequest]) -> Iterator[ChoiceAnswer]:
        requests = iter(requests)
        if (first := next(requests, None)) is None:
            return
        scoring = self._scoring_for(first)
        # Questions about one conversation go out next to each other, and to one server: its prefix cache is warm.
        for answers in self._in_flight.run(self._choose, _asks(chain([first], requests), scoring)):
            yield from answers

    def check(self) -> str:
        """Asks for the list of models. Raises BackendError when no server can be reached or one lacks the model."""
        said: list[str] = []
        unreachable: list[BackendError] = []
        for server in self._servers:
            try:
                said.append(self._check_server(server))
            except _UnreachableError as error:
                unreachable.append(error)
        if not said:
            raise unreachable[0]
        for away in unreachable:
            log.warning("%s; going on with the others", away)
        return "; ".join(said)

    def _check_server(self, server: Server) -> str:
        url = server.at("models")
        try:
            status, content = self._get_now(url)
        except (aiohttp.ClientError, TimeoutError, FailedExchangeError) as error:
            raise _UnreachableError(
                f"can't reach {server.base_url}: {_reason(error)}; start the server or correct --base-url"
            ) from error
        if status in (401, 403):
            raise BackendError(
                f"{url} answered {status}: set the key in an environment variable and name it with --api-key-env"
            )
        if status != 200:
            return f"{server.base_url} answers, but lists no models (HTTP {status})"
        served = served_models(content)
        if served and not is_listed(self._config.model, served):
            listed = f"{server.base_url} lists {quoted(', '.join([*served][:10]))}"
            log.warning("%s, and not %s: going on, since lists are not always whole", listed, self._config.model)
            return f"{listed}, and not {self._config.model}"
        return f"{server.base_url} serves {self._config.model}"

    def _scoring_for(self, request: ChoiceRequest) -> Scoring | None:
        """vLLM's scoring of token ids, where a server has it and a tokenizer is here; looked for once."""
        if self._config.scoring == "chat":
            return None
        with self._lock:
            for server in () if self._looked_for_scoring else self._servers:
                try:
                    [self._scoring] = self._in_flight.run(lambda one: self._find_scoring(one, request.align), [server])
                except AutoruleError:
                    raise
                except Exception as error:  # noqa: BLE001 - whatever a reply causes: it is asked over chat
                    log.warning("%s can't be asked what it offers: %s", server.base_url, _reason(error))
                else:
                    self._looked_for_scoring = True
                    break
            return self._scoring

    async def _find_scoring(self, server: Server, align: int) -> Scoring | None:
        return await find_scoring(self._open_session(), server, self._config, align, self._fields.adapted)

    def close(self) -> None:
        self._in_flight.close(self._session.close if self._session else None)

    async def _generate_one(self, request: GenerateRequest) -> Answer:
        body = {**await self._body(request.conversation), **sampling_fields(request)}
        if request.json_schema is not None:
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": request.stage, "schema": request.json_schema, "strict": True},
            }
        try:
            reply = await self._post(body)
            return Answer(request, read_output(reply, self._config.model))
        except FailedExchangeError as error:
            return Answer(request, self._failure(request, error))

    async def _choose(self, ask: _Ask) -> list[ChoiceAnswer]:
        if ask.question is None:
            assert ask.scoring is not None
            return await self._choose_all(ask, ask.scoring)
        return [ChoiceAnswer(ask.request, ask.question, await self._choose_one(ask, ask.question))]

    async def _choose_all(self, ask: _Ask, scoring: Scoring) -> list[ChoiceAnswer]:
        try:
            body, trimmed = scoring.body(ask.request)
            reply = await self._post(body, ask.route, scoring.path)
            return naming_what_is_malformed(scoring.read)(reply, ask.request, trimmed)
        except FailedExchangeError as error:
            failure = self._failure(ask.request, error)
            return [ChoiceAnswer(ask.request, question, failure) for question in ask.request.questions]

    async def _choose_one(self, ask: _Ask, question: Question) -> ChoiceProbabilities | Failure:
        """With less of the conversation, as long as the server says that the prompt is too long for it."""
        shown, trimmed = ask.request, False
        while True:
            body = await self._body(shown.messages_with(question))
            body |= {"max_tokens": 1, "temperature": 0, "logprobs": True, "top_logprobs": TOP_LOGPROBS}
            try:
                result = read_choices(await self._post(body, ask.route), ask.request.choices)
                return result.model_copy(update={"trimmed": trimmed})
            except FailedExchangeError as error:
                is_too_long = says_too_long(error.status, error.words)
                shorter = shown.shortened(shown.n_chars * 2 // 3) if is_too_long else None
                if shorter is None or shorter.n_chars >= shown.n_chars:
                    return self._failure(ask.request, error)
                shown, trimmed = shorter, True

    def _failure(self, request: GenerateRequest | ChoiceRequest, error: FailedExchangeError) -> Failure:
        return Failure(
            stage=request.stage,
            kind=error.kind,
            message=without_keys(str(error)),
            item_id=request.request_id,
            attempts=error.attempts,
            usage=error.usage,
        )

    async def _body(self, messages: Messages) -> dict[str, Any]:
        turns = await self._markers.broken_up(messages, self._tokenized)
        body: dict[str, Any] = {"model": self._config.model, "messages": turns}
        if messages[-1].role == "assistant":
            body |= {"add_generation_prompt": False, "continue_final_message": True}
        return body

    async def _post(
        self, body: dict[str, Any], route: Route | None = None, path: str = "chat/completions"
    ) -> dict[str, Any]:
        """Posts; what a server refuses of the fields is left out, now and from then on."""

        async def send(sent: dict[str, Any], once: bool) -> dict[str, Any]:
            patience = Patience(0, 0, 0) if once else self._patience
            return await post_json(self._open_session(), self._servers, route or Route(), path, sent, patience)

        return await self._fields.post({**body, **self._config.extra_body}, send)

    async def _tokenized(self, body: dict[str, Any]) -> Any:
        return await post(self._open_session(), next(iter(self._servers)).at("/tokenize"), body)

    def _get_now(self, url: str) -> tuple[int, bytes]:
        [answer] = self._in_flight.run(lambda url: get(self._open_session(), url), [url])
        return answer

    def _open_session(self) -> aiohttp.ClientSession:
        """The one session, made in the loop that uses it. How many requests are in flight is limited before it."""
        if self._session is None:
            self._session = new_session(self._config.timeout_s, self._headers)
        return self._session


class _UnreachableError(BackendError):
    pass


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no reply within {TIMEOUT_S:g} s"
    foreseen = isinstance(error, aiohttp.ClientError | FailedExchangeError) and str(error)
    return quoted(foreseen or with_kind(error))


def _asks(requests: Iterable[ChoiceRequest], scoring: Scoring | None) -> Iterator[_Ask]:
    for request in requests:
        route = Route()
        if scoring is not None and scoring.takes(request.choices):
            yield _Ask(request, None, route, scoring)
        else:
            yield from (_Ask(request, question, route) for question in request.questions)
