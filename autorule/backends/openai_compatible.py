"""Any server with OpenAI's chat-completions interface: vLLM, SGLang, llama.cpp, TGI, or a hosted one.

One event-loop thread, one set of connections and one limit of requests in flight for the process, whichever shards ask:
a shard never waits for another's stragglers, and the server never sees more than `concurrency` requests.
"""

import json
import logging
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import aiohttp

from autorule.backends.base import (
    Answer,
    ChoiceAnswer,
    ChoiceRequest,
    GenerateRequest,
    Question,
)
from autorule.backends.chat_replies import read_choices, read_output
from autorule.backends.in_flight import InFlight
from autorule.backends.keys import read_key
from autorule.backends.retrying import FailedExchangeError, new_session, post_json
from autorule.config import ModelConfig
from autorule.errors import BackendError
from autorule.prompting import neutralise_special_tokens
from autorule.records import Failure, Messages, content_id

log = logging.getLogger(__name__)
TOP_LOGPROBS = 20
CHECK_TIMEOUT_S = 20.0


class _Ask(NamedTuple):
    request: ChoiceRequest
    question: Question


class OpenAICompatibleBackend:
    batch_size = None

    def __init__(self, config: ModelConfig) -> None:
        """Raises ConfigError when the key's environment variable holds no key."""
        assert config.base_url is not None
        self._config = config
        self.identity = f"openai_compatible:{config.model}" + (f"@{config.revision}" if config.revision else "")
        if config.extra_body:
            self.identity += f"+{content_id(config.extra_body)}"
        self._schema_refused = False
        self._key = read_key(config.api_key_env)
        self._headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        self._url = f"{config.base_url}/chat/completions"
        self._session: aiohttp.ClientSession | None = None
        self._in_flight = InFlight(config.concurrency)

    def generate(self, requests: Iterable[GenerateRequest]) -> Iterator[Answer]:
        return self._in_flight.run(self._generate_one, requests)

    def score_choices(self, requests: Iterable[ChoiceRequest]) -> Iterator[ChoiceAnswer]:
        # Questions about one conversation go out next to each other: the server's prefix cache is warm for them.
        asks = (_Ask(request, question) for request in requests for question in request.questions)
        return self._in_flight.run(self._choose_one, asks)

    def check(self) -> str:
        """Asks for the list of models. Raises BackendError when the server can't be reached or lacks the model."""
        url = f"{self._config.base_url}/models"
        try:
            [(status, content)] = self._in_flight.run(self._get, [url])
        except (aiohttp.ClientError, TimeoutError) as error:
            reason = self._without_key(str(error)) or f"no reply within {CHECK_TIMEOUT_S:g} s"
            raise BackendError(
                f"can't reach {self._config.base_url}: {reason}; start the server or correct --base-url"
            ) from error
        if status in (401, 403):
            raise BackendError(
                f"{url} answered {status}: set the key in an environment variable and name it with --api-key-env"
            )
        if status != 200:
            return f"{self._config.base_url} answers, but lists no models (HTTP {status})"
        served = _served_models(content)
        if served and self._config.model not in served:
            raise BackendError(
                f"{self._config.base_url} does not serve {self._config.model!r}; it serves {', '.join(served[:10])}"
            )
        return f"{self._config.base_url} serves {self._config.model}"

    def close(self) -> None:
        self._in_flight.close(self._session.close if self._session else None)

    async def _generate_one(self, request: GenerateRequest) -> Answer:
        body = {**self._body(request.conversation), **_sampling_fields(request)}
        if request.json_schema is not None and not self._schema_refused:
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": request.stage, "schema": request.json_schema, "strict": True},
            }
        try:
            reply = await self._post_with_schema_fallback(body)
            return Answer(request, read_output(reply, self._config.model))
        except FailedExchangeError as error:
            return Answer(request, self._failure(request, error))

    async def _choose_one(self, ask: _Ask) -> ChoiceAnswer:
        request, question = ask
        body = self._body(request.messages_with(question))
        body |= {"max_tokens": 1, "temperature": 0, "logprobs": True, "top_logprobs": TOP_LOGPROBS}
        try:
            reply = await self._post(body)
            return ChoiceAnswer(request, question, read_choices(reply, request.choices))
        except FailedExchangeError as error:
            return ChoiceAnswer(request, question, self._failure(request, error))

    def _failure(self, request: GenerateRequest | ChoiceRequest, error: FailedExchangeError) -> Failure:
        return Failure(
            stage=request.stage,
            kind=error.kind,
            message=self._without_key(str(error)),
            item_id=request.request_id,
            attempts=error.attempts,
            usage=error.usage,
        )

    def _without_key(self, text: str) -> str:
        """The text as it may be kept and shown: servers quote what they were sent."""
        return text.replace(self._key, "[key]") if self._key else text

    def _body(self, messages: Messages) -> dict[str, Any]:
        content = [{"role": m.role, "content": neutralise_special_tokens(m.content)} for m in messages]
        body: dict[str, Any] = {"model": self._config.model, "messages": content}
        if messages[-1].role == "assistant":
            body |= {"add_generation_prompt": False, "continue_final_message": True}
        return body

    async def _post_with_schema_fallback(self, body: dict[str, Any]) -> dict[str, Any]:
        """Posts; a server that refuses the schema is asked without it, now and from then on."""
        try:
            return await self._post(body)
        except FailedExchangeError as error:
            if "response_format" not in body or error.status not in (400, 422):
                raise
            without = {name: value for name, value in body.items() if name != "response_format"}
            reply = await self._post(without)
            if not self._schema_refused:
                log.warning("%s refuses JSON schemas (%s); going on without them", self._config.base_url, error)
            self._schema_refused = True
            return reply

    async def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        return await post_json(
            self._open_session(),
            self._url,
            {**body, **self._config.extra_body},
            self._config.max_retries,
            self._config.retry_wait_s,
        )

    async def _get(self, url: str) -> tuple[int, bytes]:
        timeout = aiohttp.ClientTimeout(total=CHECK_TIMEOUT_S)
        async with self._open_session().get(url, timeout=timeout) as response:
            return response.status, await response.read()

    def _open_session(self) -> aiohttp.ClientSession:
        """The one session, made in the loop that uses it. How many requests are in flight is limited before it."""
        if self._session is None:
            self._session = new_session(self._config.timeout_s, self._headers)
        return self._session


def _served_models(content: bytes) -> list[str]:
    try:
        return [str(model["id"]) for model in json.loads(content)["data"]]
    except (ValueError, KeyError, TypeError):
        return []


def _sampling_fields(request: GenerateRequest) -> dict[str, Any]:
    sampling = request.sampling
    fields: dict[str, Any] = {
        "max_tokens": sampling.max_tokens,
        "temperature": request.temperature,
        "top_p": sampling.top_p,
    }
    if request.temperature > 0:
        seed = content_id("seed", sampling.seed, request.sample_index, request.repeats)
        fields["seed"] = int(seed[:7], 16)
    if sampling.stop:
        fields["stop"] = list(sampling.stop)
    if sampling.bad_words:
        fields["bad_words"] = list(sampling.bad_words)
    if sampling.repetition_penalty != 1:
        fields["repetition_penalty"] = sampling.repetition_penalty
    return fields
