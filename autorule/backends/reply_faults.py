"""Faults that a server tells inside a reply whose HTTP status is 200, as routers and gateways do."""

from typing import Any, NamedTuple

from autorule.backends.keys import quoted

RETRIED_STATUS = frozenset({408, 409, 429})
FINAL_WORDS = ("invalid", "not_found", "not found", "unsupported", "permission", "authentication", "content_filter")
"""In the type or code of an error that has no number: asked again, it would be the same."""


class ReplyFault(NamedTuple):
    message: str
    status: int | None
    """As the error's own code says; None where that is no HTTP status."""
    transient: bool


def is_transient(status: int) -> bool:
    return status in RETRIED_STATUS or status >= 500


def fault_in(reply: dict[str, Any]) -> ReplyFault | None:
    """What is wrong with the reply as a whole, or with its first choice; None when it says of nothing."""
    error = reply.get("error")
    if "choices" in reply and not error:
        choices = reply["choices"]
        if not choices:
            return ReplyFault(f"the reply holds no choices: {quoted(reply)}", None, True)
        first = choices[0] if isinstance(choices, list) and isinstance(choices[0], dict) else {}
        error = first.get("error")
        if not error and first.get("finish_reason") == "error":
            return ReplyFault("the answer broke off: finish_reason error", None, True)
    if not error:
        return None
    status = _status(error)
    transient = is_transient(status) if status is not None else not _is_final(error)
    told = error.get("message") if isinstance(error, dict) else error
    return ReplyFault(f"the reply holds an error: {quoted(told or error)}", status, transient)


def _status(error: Any) -> int | None:
    codes = [error.get(name) for name in ("code", "status", "status_code")] if isinstance(error, dict) else []
    for code in codes:
        number = int(code) if isinstance(code, str) and code.isdecimal() and len(code) == 3 else code
        if isinstance(number, int) and not isinstance(number, bool) and 400 <= number < 600:
            return number
    return None


def _is_final(error: Any) -> bool:
    words = " ".join(str(error.get(name)) for name in ("type", "code")) if isinstance(error, dict) else ""
    return any(word in words.lower() for word in FINAL_WORDS)
