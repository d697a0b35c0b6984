"""Replies that are none: of servers that fail, of gateways that speak for them, and of what does harm on purpose."""

import gzip
import json
from collections.abc import Callable, Iterator

from starlette.responses import Response

Raw = tuple[int, bytes, dict[str, str]]
"""Status, body, headers."""


def _json(value: object, status: int = 200) -> Raw:
    return status, json.dumps(value).encode(), {"content-type": "application/json"}


def _text(body: str | bytes, status: int = 200, **headers: str) -> Raw:
    return status, body if isinstance(body, bytes) else body.encode(), headers


def _chat(top: str) -> Raw:
    """A chat reply whose likeliest first tokens are written as they stand: JSON, or what is none."""
    entry = f'{{"token": "Yes", "logprob": -0.1, "top_logprobs": {top}}}'
    message = '{"role": "assistant", "content": "Yes"}'
    choice = f'{{"index": 0, "finish_reason": "stop", "message": {message}, "logprobs": {{"content": [{entry}]}}}}'
    return _text(f'{{"choices": [{choice}], "usage": {{"prompt_tokens": 3, "completion_tokens": 1}}}}')


def _pair(yes: str, no: str = "-2.5") -> Raw:
    return _chat(f'[{{"token": "Yes", "logprob": {yes}}}, {{"token": "No", "logprob": {no}}}]')


def kinds(key: str) -> dict[str, Raw]:
    """Name -> a reply that holds no verdict; those that have room for it hold the key."""
    found: dict[str, Raw] = {}
    for status in (
        400, 401, 402, 403, 404, 405, 406, 408, 409, 410, 413, 415, 418, 421, 422, 423, 424, 425, 429, 431, 451,
        500, 501, 502, 503, 504, 507, 508, 511, 520, 522, 524, 529,
    ):  # fmt: skip
        found[f"status {status}"] = _text("x" * 290 + f"Bearer {key}", status)
    found |= dict(_no_json(key)) | dict(_no_choices(key)) | dict(_errors(key)) | dict(_numbers())
    return found


def _no_json(key: str) -> Iterator[tuple[str, Raw]]:
    for name, body in {
        "nothing": "",
        "a space": " ",
        "null": "null",
        "a number": "12",
        "text": '"yes"',
        "a list": "[]",
        "HTML": f"<html><body>{key}</body></html>",
        "cut off": '{"choices": [{"index": 0, "mess',
        "two values": "{} {}",
        "single quotes": "{'choices': []}",
        "a comment": "// ok\n{}",
        "nested lists": "[" * 100_000,
        "nested objects": '{"a":' * 100_000,
        "nested and closed": "[" * 9000 + "]" * 9000,
        "nested in an object": '{"choices": ' + "[" * 5000 + "]" * 5000 + "}",
        "a number of 5,000 digits": '{"choices": ' + "9" * 5000 + "}",
        "an event stream": 'data: {"choices": []}\n\n',
    }.items():
        yield name, _text(body)
    yield "no UTF-8", _text(b'{"choices": "\xff\xfe\xc3("}')
    yield "zeros", _text(b"\0" * 1000)
    yield "a bomb", _text(gzip.compress(b" " * 100_000_000, 1), **{"content-encoding": "gzip"})
    yield "no gzip", _text(b"not packed", **{"content-encoding": "gzip"})
    yield "40 MB", _text(b'{"choices": "' + b"x" * 40_000_000 + b'"}')
    yield "an answer elsewhere", _text("", 307, location="http://127.0.0.1:1/v1")


def _no_choices(key: str) -> Iterator[tuple[str, Raw]]:
    for name, value in {
        "no choices": {"id": key},
        "choices null": {"choices": None},
        "choices empty": {"choices": []},
        "choices an object": {"choices": {"0": {}}},
        "choices text": {"choices": "yes"},
        "a choice null": {"choices": [None]},
        "a choice of text": {"choices": ["yes"]},
        "an empty choice": {"choices": [{}]},
        "no message": {"choices": [{"logprobs": None}]},
        "a message of text": {"choices": [{"message": "yes"}]},
        "logprobs null": {"choices": [{"message": {"content": "Yes"}, "logprobs": None}]},
        "logprobs a list": {"choices": [{"message": {"content": "Yes"}, "logprobs": [1]}]},
        "logprobs text": {"choices": [{"message": {"content": "Yes"}, "logprobs": "none"}]},
        "no first token": {"choices": [{"message": {"content": "Yes"}, "logprobs": {"content": []}}]},
        "a first token null": {"choices": [{"message": {"content": "Yes"}, "logprobs": {"content": [None]}}]},
        "completions of nothing": {"choices": [{"message": {}, "logprobs": {"top_logprobs": [{}]}}]},
        "completions of text": {"choices": [{"message": {}, "logprobs": {"top_logprobs": ["Yes"]}}]},
    }.items():
        yield name, _json(value)


def _errors(key: str) -> Iterator[tuple[str, Raw]]:
    for name, error in {
        "text": f"out of memory near {key}",
        "a number": 13,
        "a list": [key],
        "code 400": {"message": key, "code": 400},
        "code 429": {"message": "slow down", "code": 429},
        "code 502": {"message": "provider", "code": "502"},
        "code of words": {"message": "no", "code": "rate_limit_exceeded"},
        "type": {"message": "no", "type": "invalid_request_error"},
    }.items():
        yield f"an error inside: {name}", _json({"error": error, "choices": None})
    yield (
        "an error of the choice",
        _json({"choices": [{"error": {"code": 502, "message": key}, "message": {"content": "Y"}}]}),
    )
    yield "finish_reason error", _json({"choices": [{"finish_reason": "error", "message": {"content": "Yes"}}]})


def _numbers() -> Iterator[tuple[str, Raw]]:
    """Log-probabilities that are none."""
    for name, number in {
        "NaN": "NaN",
        "infinite": "Infinity",
        "minus infinite": "-Infinity",
        "overflow": "1e999",
        "above 0": "0.5",
        "large": "700",
        "a huge integer": "1" + "0" * 400,
        "null": "null",
        "text": '"-0.1"',
        "true": "true",
        "a list": "[-0.1]",
        "an object": "{}",
    }.items():
        yield f"logprob {name}", _pair(number)
        yield f"logprob of No {name}", _pair("-0.1", number)
    yield "more than 1 together", _pair("-0.01", "-0.02")
    yield "Yes twice", _chat('[{"token": "Yes", "logprob": -0.7}, {"token": "Yes", "logprob": -0.8}]')
    yield "neither Yes nor No", _chat('[{"token": "Maybe", "logprob": -0.1}]')
    yield "no tokens", _chat("[]")
    yield "tokens null", _chat("null")
    yield "a token missing", _chat('[{"logprob": -0.1}, {"token": "No", "logprob": -2.5}]')
    yield "a logprob missing", _chat('[{"token": "Yes"}, {"token": "No", "logprob": -2.5}]')
    yield "bytes that are none", _chat('[{"token": "Yes", "logprob": -0.1, "bytes": [999]}]')


def reply_of(raw: Raw) -> Response:
    status, body, headers = raw
    return Response(body, status_code=status, headers=headers)


def choosing(share: int, names: list[str], digest: Callable[[str], int]) -> Callable[[str], str | None]:
    """Text -> the kind of fault that it gets, in `share` of a hundred; the same one each time."""

    def kind(text: str) -> str | None:
        number = digest(text)
        return names[number // 100 % len(names)] if number % 100 < share else None

    return kind
