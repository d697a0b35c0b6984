"""A back end that never asks twice for what it knows.

An answer's key is everything that fixes it (model, rendered messages, sampling, schema, sample index, prompt) and
nothing else: no key, no URL, no run. A stored answer is served again only if the stage can parse it; otherwise the
request goes out under the next attempt number. Without a store it only counts calls.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TypeVar

from pydantic import ValidationError

from autorule.backends import stopping
from autorule.backends.answer_store import AnswerStore, NewGeneration, StoredGeneration
from autorule.backends.base import (
    Answer,
    Backend,
    ChoiceAnswer,
    ChoiceProbabilities,
    ChoiceRequest,
    GenerateRequest,
    Question,
)
from autorule.backends.cache_keys import choice_keys, generation_key
from autorule.backends.forgiving import ForgivingStore
from autorule.backends.token_estimate import estimate_message_tokens, estimate_tokens
from autorule.records import CallCounts, Failure, Messages, ModelOutput
from autorule.runs.budget import Account

Request = TypeVar("Request", GenerateRequest, ChoiceRequest)
QUESTIONS_PER_LOOKUP = 500
"""One query of the store; a conversation's questions stay together."""


class CachedBackend:
    """Wraps a back end; cheap to make, so each shard has its own and reports its own counts.

    Where requests are computed together (`batch_size` is a number), a batch is committed whole or not at all, so that
    a run that is killed and resumed forms the same batches again.
    """

    def __init__(
        self, backend: Backend, store: AnswerStore | ForgivingStore | None, account: Account | None = None
    ) -> None:
        self._backend = backend
        self._store = store
        self._account = account
        self.identity = backend.identity
        self.batch_size = backend.batch_size
        self.counts = self._told = CallCounts()

    def new_counts(self) -> CallCounts:
        """The calls counted since this was asked last, for progress."""
        before, self._told = self._told, self.counts
        return self.counts - before

    def take_counts(self) -> CallCounts:
        """The calls counted since the last time."""
        counts = self.counts
        self.counts = self._told = CallCounts()
        return counts

    def known(self, requests: Sequence[GenerateRequest]) -> dict[str, ModelOutput]:
        """Request id -> stored answer, of the requests that would not be sent."""
        keys = {request.request_id: generation_key(self.identity, request) for request in requests}
        stored = self._store.generations(list(set(keys.values()))) if self._store else {}
        found = {r.request_id: _usable_output(r, stored.get(keys[r.request_id], [])) for r in requests}
        return {request_id: output for request_id, output in found.items() if output is not None}

    def generate(self, requests: Iterable[GenerateRequest]) -> Iterator[Answer]:
        same: dict[bytes, list[GenerateRequest]] = {}
        for request in requests:
            same.setdefault(generation_key(self.identity, request), []).append(request)
        stored = self._store.generations(list(same)) if self._store else {}
        to_send: list[tuple[bytes, GenerateRequest]] = []
        for key, group in same.items():
            attempts = stored.get(key, [])
            output = _usable_output(group[0], attempts)
            if output is None:
                to_send.append((key, _next_attempt(group[0], attempts)))
            else:
                self.counts += CallCounts(cached=len(group))
                yield from (Answer(request, output) for request in group)
        step = self.batch_size or max(1, len(to_send))
        for start in range(0, len(to_send), step):
            for key, result in self._send(to_send[start : start + step]):
                self.counts += CallCounts(cached=len(same[key]) - 1)
                yield from (Answer(request, result) for request in same[key])

    def _send(self, keyed: list[tuple[bytes, GenerateRequest]]) -> Iterator[tuple[bytes, ModelOutput | Failure]]:
        keys = {id(request): key for key, request in keyed}
        batch: list[NewGeneration] = []
        results: list[tuple[bytes, ModelOutput | Failure]] = []
        unsent: list[GenerateRequest] = []
        for request, result in self._backend.generate(self._affordable([r for _, r in keyed], unsent)):
            self._count(result, request.conversation)
            failed = isinstance(result, Failure)
            batch.append(
                NewGeneration(keys[id(request)], request.attempt, request.stage, failed, result.model_dump_json())
            )
            results.append((keys[id(request)], result))
            if self.batch_size is None or len(batch) == len(keyed):
                if self._store:
                    self._store.put_generations(batch)
                yield from results
                batch, results = [], []
                stopping.check()  # what was answered is committed
        for request in unsent:
            yield keys[id(request)], self._over_budget(request)

    def _affordable(self, requests: Sequence[Request], unsent: list[Request]) -> Iterable[Request]:
        """The requests while the budget lasts; the others go to `unsent`. A batch is afforded whole or not at all."""
        if self._account is None:
            return requests
        if self.batch_size is not None:
            within = not self._account.budget.reached
            unsent += [] if within else requests
            return requests if within else ()
        return self._while_affordable(requests, unsent, self._account)

    def _while_affordable(
        self, requests: Sequence[Request], unsent: list[Request], account: Account
    ) -> Iterator[Request]:
        for request in requests:
            if account.budget.reached:
                unsent.append(request)
            else:
                yield request

    def _over_budget(self, request: GenerateRequest | ChoiceRequest) -> Failure:
        assert self._account is not None
        message = f"not sent: the budget is spent, {self._account.budget}"
        return Failure(stage=request.stage, kind="budget", message=message, item_id=request.request_id, attempts=0)

    def _count(self, result: ModelOutput | ChoiceProbabilities | Failure, shown: Messages) -> None:
        """Counts a call. Where the server tells no usage the tokens are estimated for the budget: it must hold."""
        counts = _counts_of(result)
        self.counts += counts
        if self._account is None:
            return
        if not counts.prompt_tokens and not counts.completion_tokens and not isinstance(result, Failure):
            written = (
                estimate_tokens(f"{result.reasoning or ''}{result.text}") if isinstance(result, ModelOutput) else 1
            )
            counts = CallCounts(sent=1, prompt_tokens=estimate_message_tokens(shown), completion_tokens=written)
        self._account.spend(counts)

    def score_choices(self, requests: Iterable[ChoiceRequest]) -> Iterator[ChoiceAnswer]:
        to_send: list[ChoiceRequest] = []
        # By the request's identity: a back end answers with the request that it was given.
        keys_to_send: dict[int, dict[Question, bytes]] = {}
        for group in _groups_by_questions(requests, QUESTIONS_PER_LOOKUP):
            keyed = [(request, choice_keys(self.identity, request)) for request in group]
            stored = self._store.choices([key for _, keys in keyed for key in keys.values()]) if self._store else {}
            known: list[ChoiceAnswer] = []
            for request, keys in keyed:
                own = _known_choices(request, keys, stored)
                known += own
                there = {answer.question for answer in own}
                missing = {question: key for question, key in keys.items() if question not in there}
                if missing:
                    to_send.append(dataclasses.replace(request, questions=tuple(missing)))
                    keys_to_send[id(to_send[-1])] = missing
            self.counts += CallCounts(cached=len(known))
            yield from known
        unsent: list[ChoiceRequest] = []
        if self.batch_size is None:
            for answer in self._backend.score_choices(self._affordable(to_send, unsent)):
                yield from self._keep_choices([answer], keys_to_send)
                stopping.check()
        else:
            for request in to_send:
                answers = list(self._backend.score_choices(self._affordable([request], unsent)))
                yield from self._keep_choices(answers, keys_to_send)
                stopping.check()
        for request in unsent:
            yield from (ChoiceAnswer(request, question, self._over_budget(request)) for question in request.questions)

    def _keep_choices(self, answers: list[ChoiceAnswer], keys: dict[int, dict[Question, bytes]]) -> list[ChoiceAnswer]:
        """Counts and commits the answers. Failures are not stored: they are asked again."""
        rows = []
        for request, question, result in answers:
            self._count(result, request.messages)
            if isinstance(result, ChoiceProbabilities):
                rows.append((keys[id(request)][question], result.model_dump_json(exclude_defaults=True)))
        if self._store:
            self._store.put_choices(rows)
        return answers

    def check(self) -> str:
        return self._backend.check()

    def close(self) -> None:
        self._backend.close()


def _usable_output(request: GenerateRequest, attempts: list[StoredGeneration]) -> ModelOutput | None:
    """The latest stored answer that the stage can parse."""
    for stored in reversed(attempts):
        output = _read_output(stored)
        if output is not None and request.fault(output) is None:
            return output
    return None


def _read_output(stored: StoredGeneration) -> ModelOutput | None:
    if stored.failed:
        return None
    try:
        return ModelOutput.model_validate_json(stored.payload, strict=True)
    except ValidationError:
        return None


def _next_attempt(request: GenerateRequest, attempts: list[StoredGeneration]) -> GenerateRequest:
    """The request as it is sent after the stored attempts, none of which can be served: as if it were asked again in
    the run that got the last answer."""
    if not attempts:
        return request
    unparsed = [output for stored in attempts if (output := _read_output(stored))]
    if unparsed and not request.repeats and (fault := request.fault(unparsed[-1])) is not None:
        request = request.again(unparsed[-1], fault)
    repeats = max(request.repeats, len(unparsed))
    return dataclasses.replace(request, attempt=max(request.attempt, attempts[-1].attempt + 1), repeats=repeats)


def _counts_of(result: ModelOutput | ChoiceProbabilities | Failure) -> CallCounts:
    usage = result.usage
    return CallCounts(sent=1, prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens)


def _known_choices(
    request: ChoiceRequest, keys: dict[Question, bytes], stored: dict[bytes, bytes]
) -> list[ChoiceAnswer]:
    """The stored answers that can be read: one that is broken, of other choices, or of a newer version, is asked for
    again."""
    known = []
    for question, key in keys.items():
        if key in stored:
            with suppress(ValidationError):
                found = ChoiceProbabilities.model_validate_json(stored[key], strict=True)
                if found.probabilities.keys() == set(request.choices):
                    known.append(ChoiceAnswer(request, question, found))
    return known


def _groups_by_questions(requests: Iterable[ChoiceRequest], n_questions: int) -> Iterator[list[ChoiceRequest]]:
    """The requests in order, in lists of about so many questions."""
    group: list[ChoiceRequest] = []
    n = 0
    for request in requests:
        group.append(request)
        n += len(request.questions)
        if n >= n_questions:
            yield group
            group, n = [], 0
    if group:
        yield group
