"""JSON out of files of others: as Python reads it, but for what is read wrongly, or brings down whoever handles it."""

import json
from typing import Any

from autorule.storage import RepeatedKeyError, distinct

MAX_DEPTH = 100
"""Of lists and objects in each other: deeper values can be neither shown nor walked through."""


class JsonError(ValueError):
    """A text that is no JSON, or none that can be used."""

    code = "not_json"


class UnusableJsonError(JsonError):
    """A text that is JSON, and yet can't be used."""

    def __init__(self, message: str, code: str = "not_json") -> None:
        super().__init__(message)
        self.code = code


def loads(text: str) -> Any:
    """The value of a JSON text. Raises JsonError, which says what is wrong."""
    try:
        value = json.loads(text, object_pairs_hook=distinct)
    except RepeatedKeyError as error:
        raise UnusableJsonError(str(error), "repeated_key") from error
    except RecursionError:
        raise UnusableJsonError(TOO_DEEP) from None
    except json.JSONDecodeError as error:
        raise JsonError(f"not valid JSON: {error}") from error
    except ValueError:  # Python reads no integer of more than 4,300 digits
        raise UnusableJsonError(
            "not valid JSON: a number of thousands of digits; write it as text, in quotes"
        ) from None
    if text.count("[") + text.count("{") > MAX_DEPTH and _is_deeper(value):
        raise UnusableJsonError(TOO_DEEP)
    return value


TOO_DEEP = f"not valid JSON: more than {MAX_DEPTH} lists or objects stand in each other; write the value as text"


def _is_deeper(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            inner
            for one in level
            if isinstance(one, (list, dict))
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
    return bool(level)
