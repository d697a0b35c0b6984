"""Ask a back end and parse what comes back, with a bounded number of asks for answers that can't be parsed."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from autorule.backends.answer_text import is_refusal
from autorule.backends.base import Backend, GenerateRequest
from autorule.errors import AutoruleError, ParseError, with_kind
from autorule.records import Failure, FailureKind, ModelOutput

Parsed = TypeVar("Parsed")


def ask(
    backend: Backend,
    requests: Sequence[GenerateRequest],
    parse: Callable[[GenerateRequest, ModelOutput], Parsed],
    asks: int = 1,
) -> Iterator[tuple[GenerateRequest, Parsed | Failure]]:
    """Every request with what `parse` makes of its answer, as answers arrive; or with a Failure.

    `parse` raises ParseError for an answer that is not what the prompt asked for; such a request is sent again with the
    error shown, up to `asks` times in all. Transport faults are not asked again here: the back end has retried them.
    """

    def fault(request: GenerateRequest, output: ModelOutput) -> Failure | None:
        parsed = _parsed(request, output, parse, 1)
        return parsed if isinstance(parsed, Failure) else None

    pending = [dataclasses.replace(r, fault=lambda output, r=r: fault(r, output)) for r in requests]  # type: ignore[misc]
    for n_asked in range(1, asks + 1):
        again = []
        for request, result in backend.generate(pending):
            if isinstance(result, Failure):
                yield request, result
                continue
            parsed = _parsed(request, result, parse, n_asked)
            if isinstance(parsed, Failure) and parsed.kind != "refused" and n_asked < asks:
                again.append(request.again(result, parsed))
            else:
                yield request, _with_setting(request, parsed) if isinstance(parsed, Failure) else parsed
        pending = again
        if not pending:
            return


def _with_setting(request: GenerateRequest, failure: Failure) -> Failure:
    """The failure with the setting that mends it. It is told to people only: a model that is asked again has none."""
    if failure.kind != "truncated":
        return failure
    stage = "interpretation" if request.stage == "chain_check" else request.stage  # whose budget it has
    n = request.sampling.max_tokens
    told = f"{failure.message}; the answer ended at its budget of {n:,} tokens: raise {stage}.sampling.max_tokens"
    return failure.model_copy(update={"message": told})


def _parsed(
    request: GenerateRequest, output: ModelOutput, parse: Callable[[GenerateRequest, ModelOutput], Parsed], n_asked: int
) -> Parsed | Failure:
    try:
        return parse(request, output)
    except ParseError as error:
        kind: FailureKind = "parse"
        if output.finish_reason == "length":
            kind = "truncated"
        if output.finish_reason == "content_filter" or is_refusal(output.text):
            kind = "refused"
        message = str(error)
    except AutoruleError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a parser trips over is this answer's failure alone
        kind, message = "parse", f"the answer can't be read: {with_kind(error)}"
    return Failure(
        stage=request.stage,
        kind=kind,
        message=message,
        item_id=request.request_id,
        attempts=n_asked,
        raw=output.text,
    )
