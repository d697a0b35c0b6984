"""One HTTP exchange with retries: the only place where transient faults of a server are tried again.

Tried again: 408, 409, 429, 5xx, timeouts, broken connections and bodies that are no JSON; with exponential waits,
or as long as the server's Retry-After says. Everything else fails at once.
"""

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import tenacity

from autorule.records import FailureKind

RETRIED_STATUS = frozenset({408, 409, 429})
MAX_WAIT_S = 60.0
MAX_RETRY_AFTER_S = 600.0
SHOWN_BODY_CHARS = 300


class FailedExchangeError(Exception):
    """A request that got no usable reply."""

    def __init__(
        self,
        kind: FailureKind,
        message: str,
        *,
        transient: bool,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.kind: FailureKind = kind
        self.transient = transient
        self.status = status
        self.retry_after_s = retry_after_s
        self.attempts = 1


async def post_json(
    client: httpx.AsyncClient, path: str | httpx.URL, body: dict[str, Any], max_retries: int, first_wait_s: float
) -> dict[str, Any]:
    """The JSON object the server replied. Raises FailedExchangeError after the last retry."""
    backoff = tenacity.wait_exponential(multiplier=first_wait_s, max=MAX_WAIT_S) + tenacity.wait_random(0, first_wait_s)

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, FailedExchangeError) and error.retry_after_s is not None:
            return min(error.retry_after_s, MAX_RETRY_AFTER_S)
        return backoff(state)

    retrying = tenacity.AsyncRetrying(
        stop=tenacity.stop_after_attempt(max_retries + 1),
        wait=wait,
        retry=tenacity.retry_if_exception(lambda e: isinstance(e, FailedExchangeError) and e.transient),
        reraise=True,
    )
    try:
        return await retrying(_post_once, client, path, body)
    except FailedExchangeError as error:
        error.attempts = retrying.statistics.get("attempt_number", 1)
        raise


async def _post_once(client: httpx.AsyncClient, path: str | httpx.URL, body: dict[str, Any]) -> dict[str, Any]:
    try:
        response = await client.post(path, json=body)
    except httpx.TimeoutException as error:
        message = f"no reply within {client.timeout.read} s ({type(error).__name__})"
        raise FailedExchangeError("timeout", message, transient=True) from error
    except httpx.HTTPError as error:
        message = f"{type(error).__name__}: {error}"
        raise FailedExchangeError("provider", message, transient=True) from error
    if response.status_code != 200:
        transient = response.status_code in RETRIED_STATUS or response.status_code >= 500
        raise FailedExchangeError(
            "provider",
            f"HTTP {response.status_code}: {response.text[:SHOWN_BODY_CHARS]}",
            transient=transient,
            status=response.status_code,
            retry_after_s=_retry_after_s(response.headers.get("retry-after")),
        )
    try:
        reply = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        message = f"the reply is no JSON: {response.text[:SHOWN_BODY_CHARS]!r}"
        raise FailedExchangeError("provider", message, transient=True) from error
    if not isinstance(reply, dict):
        raise FailedExchangeError("provider", f"the reply is no JSON object: {reply!r:.300}", transient=False)
    return reply


def _retry_after_s(header: str | None) -> float | None:
    """Seconds of a Retry-After header, given as a number or as an HTTP date; None when there is none to read."""
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
