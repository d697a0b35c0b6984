"""Faults that a server tells inside a reply whose HTTP status is 200, as routers and gateways do."""

import re
from typing import Any, NamedTuple

from autorule.backends.finish_reasons import broke_off
from autorule.backends.keys import quoted
from autorule.backends.refusal_words import words_in

RETRIED_STATUS = frozenset({408, 409, 429})
FINAL_WORDS = ("invalid", "not_found", "not found", "unsupported", "permission", "authentication", "content_filter")
"""In the type or code of an error that has no number: asked again, it would be the same."""
ANSWER_KEYS = ("choices", "data")
TELLING_KEYS = ("errors", "detail", "message", "msg", "code", "status", "status_code", "http_status")
STATUS = re.compile(r"[45]\d\d", re.ASCII)
STATUS_KEYS = ("code", "status", "status_code", "http_status", "statusCode", "http_code")


class ReplyFault(NamedTuple):
    message: str
    status: int | None
    """As the error's own code says; None where that is no HTTP status."""
    transient: bool
    words: str = ""
    """All that the error says."""


def is_transient(status: int) -> bool:
    return status in RETRIED_STATUS or status >= 500


def fault_in(reply: dict[str, Any]) -> ReplyFault | None:
    """What is wrong with the reply as a whole, or with its first choice; None when it says of nothing."""
    if error := _error_of(reply):
        return _told(error)
    if "choices" not in reply:
        return None
    choices = reply["choices"]
    if not choices:
        return ReplyFault(f"the reply holds no choices: {quoted(reply)}", None, True)
    first = choices[0] if isinstance(choices, list) and isinstance(choices[0], dict) else {}
    message = first.get("message")
    if error := first.get("error") or (message.get("error") if isinstance(message, dict) else None):
        return _told(error)
    if reason := broke_off(first):
        return ReplyFault(f"the answer broke off: finish_reason {quoted(reason, 40)}", None, True)
    return None


def _error_of(reply: dict[str, Any]) -> Any:
    """The error that a reply is or holds beside its answer; None where it holds none."""
    if reply.get("error"):
        return reply["error"]
    if any(reply.get(key) is not None for key in ANSWER_KEYS) or not any(reply.get(key) for key in TELLING_KEYS):
        return None
    errors = reply.get("errors")
    return errors[0] if isinstance(errors, list) and errors else reply


def _told(error: Any) -> ReplyFault:
    status = _status(error)
    transient = is_transient(status) if status is not None else not _is_final(error)
    told = error.get("message") or error.get("detail") if isinstance(error, dict) else error
    return ReplyFault(f"the reply holds an error: {quoted(told or error)}", status, transient, words_in(error))


def _status(error: Any) -> int | None:
    """The HTTP status that an error tells, or an error in it."""
    while isinstance(error, dict):
        for code in (error.get(key) for key in STATUS_KEYS):
            text = f"{code:.0f}" if isinstance(code, float) and code.is_integer() else str(code)
            if isinstance(code, int | float | str) and STATUS.fullmatch(text):
                return int(text)
        error = error.get("error")
    return None


def _is_final(error: Any) -> bool:
    words = " ".join(str(error.get(name)) for name in ("type", "code")) if isinstance(error, dict) else ""
    return any(word in words.lower() for word in FINAL_WORDS)
