"""What stands between the network and the reward: hosts, tokens, sizes, slow senders. Plain ASGI."""

import asyncio
import contextlib
import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

ENDING = "the server is ending before this was scored; ask again"
HEADERS_S = 10.0
"""Within which a request's line and headers must have come."""


class _RefusedError(Exception):
    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class Guard:
    """Refuses what has the wrong host, no token, too large a body or too slow a one. `hosts` None: any host."""

    def __init__(
        self, app: App, hosts: frozenset[str] | None, token: str | None, max_bytes: int, body_s: float
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._token = token
        self._max_bytes = max_bytes
        self._body_s = body_s
        self._reading: set[asyncio.Future[bytes]] = set()
        self._is_ending = False

    def give_up(self) -> None:
        """Tells whoever still sends a body, and whoever comes from now on, that the server is ending."""
        self._is_ending = True
        for reading in self._reading:
            reading.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            headers = {name.lower(): value for name, value in scope["headers"]}
            self._check_host(headers)
            scope = self._admitted(scope, headers)
            body = await self._whole_body(headers, receive)
        except _RefusedError as refusal:
            await _respond(send, refusal.status, refusal.detail)
        except TimeoutError:
            await _respond(send, 408, f"the body did not come within {self._body_s:g} s")
        else:
            await self._run(scope, body, receive, send)

    async def _run(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        """Ends the work on a request whose client has left: nobody reads the answer."""
        gone = asyncio.Event()
        work = asyncio.ensure_future(self._app(scope, _replay(body, gone), send))
        watch = asyncio.create_task(_wait_for_disconnect(receive))
        try:
            await asyncio.wait((work, watch), return_when=asyncio.FIRST_COMPLETED)
            gone.set()
            if not work.done():
                work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work
        finally:
            watch.cancel()

    def _check_host(self, headers: dict[bytes, bytes]) -> None:
        host = headers.get(b"host", b"").decode("latin-1").lower()
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if self._hosts is not None and name not in self._hosts:
            raise _RefusedError(421, "this host is not served here; name it with --allow-host")

    def _admitted(self, scope: Scope, headers: dict[bytes, bytes]) -> Scope:
        """The scope, with the token as the root of its path where it is there and not given as bearer."""
        if self._token is None or scope["path"] == "/health":
            return scope
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), self._token.encode()):
            return scope
        first = scope["path"].removeprefix("/").partition("/")[0]
        if hmac.compare_digest(first.encode(), self._token.encode()):
            return {**scope, "root_path": f"/{first}"}
        raise _RefusedError(401, "give the token: as bearer, or as the first segment of the path")

    async def _whole_body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """Raises TimeoutError for one that comes too slowly."""
        if self._is_ending:
            raise _RefusedError(503, ENDING)
        reading = asyncio.ensure_future(self._body(headers, receive))
        self._reading.add(reading)
        try:
            return await asyncio.wait_for(reading, self._body_s)
        except asyncio.CancelledError:
            if not self._is_ending:
                raise
            raise _RefusedError(503, ENDING) from None
        finally:
            self._reading.discard(reading)

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._max_bytes:
            raise _RefusedError(413, f"the body has {int(declared)} bytes; at most {self._max_bytes} are taken")
        parts, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _RefusedError(400, "the connection ended before the body did")
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._max_bytes:
                raise _RefusedError(413, f"the body has more than {self._max_bytes} bytes")
            if not message.get("more_body"):
                return b"".join(parts)


def _replay(body: bytes, gone: asyncio.Event) -> Receive:
    given = False

    async def again() -> MutableMapping[str, Any]:
        nonlocal given
        if given:
            await gone.wait()
            return {"type": "http.disconnect"}
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _respond(send: Send, status: int, detail: str) -> None:
    body = json.dumps({"detail": detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    headers.append((b"content-length", str(len(body)).encode()))
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if status == 503:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class PromptHeaders(H11Protocol):
    """uvicorn's protocol, which waits for headers for ever, with a limit to that."""

    _cut: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        if before is not None and before.response_complete and self._cut is None:
            self._wait_for_headers()
        super().data_received(data)
        if self.cycle is not None and (self.cycle is not before or not self.cycle.response_complete):
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_headers(self) -> None:
        self._cut = self.loop.call_later(HEADERS_S, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._cut is not None:
            self._cut.cancel()
            self._cut = None
