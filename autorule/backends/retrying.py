"""One HTTP exchange with retries: the only place where transient faults of a server are tried again.

Tried again: 408, 409, 429, 5xx, timeouts, broken connections and bodies that are no JSON; with exponential waits,
or as long as the server's Retry-After says. A server that is away (it is being restarted, perhaps) is waited for, or
another one is asked at once; one that answered others meanwhile is not away, and the fault is this request's.
Everything else fails at once.
"""

import asyncio
import json
import logging
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import aiohttp
import tenacity
from aiohttp.http_exceptions import HttpProcessingError

from autorule.backends.keys import answer_without_keys, quoted
from autorule.backends.proxies import request_fields, shown_proxy
from autorule.backends.refusal_words import words_in
from autorule.backends.reply_faults import fault_in, is_transient
from autorule.backends.servers import Route, Servers
from autorule.errors import AutoruleError, with_kind
from autorule.records import FailureKind, Usage
from autorule.storage import RepeatedKeyError, distinct

log = logging.getLogger(__name__)
sleep = asyncio.sleep
AWAY_STATUS = frozenset({502, 503, 504})
MAX_WAIT_S = 60.0
MAX_WAIT_FOR_SERVER_S = 5.0
MAX_RETRY_AFTER_S = 600.0
MAX_REPLY_BYTES = 32 * 2**20
"""Of one reply, unpacked: what a model writes is a small part of it."""
SAYING_NO_REPLY = (aiohttp.ClientOSError, aiohttp.InvalidURL)
"""Errors that quote nothing of a reply."""
NO_USAGE = Usage()
_headers: WeakKeyDictionary[aiohttp.ClientSession, dict[str, str]] = WeakKeyDictionary()
"""Of each request of a session, but not the session's own, which the HTTP client also sends to proxies: a key among
them would be."""


class FailedExchangeError(Exception):
    """A request that got no usable reply."""

    def __init__(
        self,
        kind: FailureKind,
        message: str,
        *,
        transient: bool,
        away: bool = False,
        status: int | None = None,
        retry_after_s: float | None = None,
        usage: Usage = NO_USAGE,
        words: str = "",
    ) -> None:
        super().__init__(message)
        self.kind: FailureKind = kind
        self.transient = transient
        self.away = away
        """The server is not there, as far as one can tell."""
        self.status = status
        self.retry_after_s = retry_after_s
        self.usage = usage
        self.attempts = 1
        self.words = words or (message if status is not None else "")
        """All that a server said of the request; empty where it said nothing."""


class Patience(NamedTuple):
    """How often and how long a request is tried again."""

    max_retries: int
    first_wait_s: float
    server_wait_s: float


def new_session(timeout_s: float, headers: dict[str, str]) -> aiohttp.ClientSession:
    """A session for any number of requests at once, to be made inside the event loop that uses it.

    `timeout_s` holds for a whole exchange.
    """
    session = aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=timeout_s), connector=aiohttp.TCPConnector(limit=0)
    )
    _headers[session] = headers
    return session


async def post_json(
    session: aiohttp.ClientSession, servers: Servers, route: Route, path: str, body: dict[str, Any], patience: Patience
) -> dict[str, Any]:
    """The JSON object that one of the servers replied. Raises FailedExchangeError after the last retry."""
    backoff = tenacity.wait_exponential(multiplier=patience.first_wait_s, max=MAX_WAIT_S) + tenacity.wait_random(
        0, patience.first_wait_s
    )
    n_faults = 0

    def wait(state: tenacity.RetryCallState) -> float:
        error = _error_of(state)
        if error.away and servers.any_is_there():
            return 0.0
        if error.away and patience.server_wait_s:
            left = patience.server_wait_s - (state.seconds_since_start or 0.0)
            pause = min(backoff(state), MAX_WAIT_FOR_SERVER_S) if error.retry_after_s is None else error.retry_after_s
            return max(0.0, min(pause, left))
        if error.status in AWAY_STATUS:
            pause = backoff(state) if error.retry_after_s is None else error.retry_after_s
            return min(pause, patience.server_wait_s - state.idle_for) if patience.server_wait_s else backoff(state)
        if error.retry_after_s is not None:
            return min(error.retry_after_s, MAX_RETRY_AFTER_S)
        return backoff(state)

    def stop(state: tenacity.RetryCallState) -> bool:
        nonlocal n_faults
        if _error_of(state).away and patience.server_wait_s:
            return (state.seconds_since_start or 0.0) >= patience.server_wait_s
        n_faults += 1
        if _error_of(state).status in AWAY_STATUS and 0 < patience.server_wait_s <= state.idle_for:
            return True
        return n_faults > patience.max_retries

    retrying = tenacity.AsyncRetrying(
        sleep=sleep,
        stop=stop,
        wait=wait,
        retry=tenacity.retry_if_exception(lambda e: isinstance(e, FailedExchangeError) and e.transient),
        reraise=True,
    )
    try:
        return await retrying(_post_to_one, session, servers, route, path, body)
    except FailedExchangeError as error:
        error.attempts = retrying.statistics.get("attempt_number", 1)
        raise


def _error_of(state: tenacity.RetryCallState) -> FailedExchangeError:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, FailedExchangeError)  # nothing else is tried again
    return error


async def _post_to_one(
    session: aiohttp.ClientSession, servers: Servers, route: Route, path: str, body: dict[str, Any]
) -> dict[str, Any]:
    server = servers.choose(route)
    server.outstanding += 1
    n_before = server.n_answered
    try:
        reply = await _post_once(session, server.at(path), body)
    except FailedExchangeError as error:
        error.away = error.away and server.n_answered == n_before
        if error.away and servers.went_away(server) and len(servers) > 1:
            log.warning("%s is away (%s); the other servers go on", server.base_url, error)
        raise
    finally:
        server.outstanding -= 1
    servers.came_back(server)
    return reply


async def _post_once(session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> dict[str, Any]:
    response, content = await exchange(session, "POST", url, json=body, allow_redirects=False)
    if response.status != 200:
        raise FailedExchangeError(
            "provider",
            f"HTTP {response.status}: {quoted(content)}",
            transient=is_transient(response.status),
            away=response.status in AWAY_STATUS,
            status=response.status,
            retry_after_s=_retry_after_s(response.headers.get("retry-after")),
            words=answer_without_keys(words_in(content)),
        )
    try:
        reply = answer_without_keys(json.loads(content, object_pairs_hook=distinct))
    except RepeatedKeyError as error:
        message = f"the reply tells a field twice, and which one counts is not known: {quoted(content)!r}"
        raise FailedExchangeError("provider", message, transient=False) from error
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, numbers or nesting without end
        message = f"the reply is no JSON: {quoted(content)!r}"
        raise FailedExchangeError("provider", message, transient=True) from error
    if not isinstance(reply, dict):
        raise FailedExchangeError("provider", f"the reply is no JSON object: {quoted(reply)}", transient=False)
    if (fault := fault_in(reply)) is not None:
        raise FailedExchangeError(
            "provider", fault.message, transient=fault.transient, status=fault.status, words=fault.words
        )
    return reply


async def exchange(
    session: aiohttp.ClientSession, method: str, url: str, **request: Any
) -> tuple[aiohttp.ClientResponse, bytes]:
    """The response and its body, in which keys may stand. Raises FailedExchangeError, and ConfigError for a proxy that
    can't be used."""
    own = _headers.get(session, {})
    try:
        async with session.request(method, url, **request_fields(url, own), **request) as response:
            return response, await _read_bounded(response)
    except (FailedExchangeError, AutoruleError):
        raise
    except TimeoutError as error:
        limit = request.get("timeout", session.timeout).total
        message = f"no reply within {limit:g} s ({type(error).__name__}){shown_proxy(url)}"
        raise FailedExchangeError("timeout", message, transient=True) from error
    except Exception as error:  # whatever it is, it is this request's fault and no other's
        away = isinstance(error, aiohttp.ClientConnectionError)
        transient = isinstance(error, aiohttp.ClientError)
        message = _in_words(error) + shown_proxy(url)
        raise FailedExchangeError("provider", message, transient=transient, away=away) from error


def _in_words(error: Exception) -> str:
    """Where a reply can't be read, the HTTP client quotes pieces of it, which may end in the middle of a key: then
    only what kind of fault it is."""
    if not isinstance(error, (aiohttp.ClientError, HttpProcessingError)) or isinstance(error, SAYING_NO_REPLY):
        return quoted(with_kind(error))
    kinds = ", ".join(type(fault).__name__ for fault in (error, error.__cause__) if fault is not None)
    status = getattr(error, "status", 0) or getattr(error, "code", 0)
    return f"no reply that can be read: {kinds}" + (f" {status}" if status else "")


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    """The body of a reply. Raises FailedExchangeError for one that is larger than any answer."""
    content = bytearray()
    async for part in response.content.iter_any():
        content += part
        if len(content) > MAX_REPLY_BYTES:
            message = f"the reply is larger than {MAX_REPLY_BYTES:,} bytes"
            raise FailedExchangeError("provider", message, transient=False)
    return bytes(content)


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
    except (ValueError, TypeError, OverflowError):
        return None
