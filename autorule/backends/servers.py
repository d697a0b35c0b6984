"""Several servers of one model: each request goes where the fewest are under way, and never to one that is away.

A server that can't be reached is left out for a while that doubles, and then tried again. A conversation keeps to one
server, whose prefix cache is warm for it, as long as that one is there.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0


@dataclass
class Server:
    address: str
    """Its base URL, with a query where it has one."""
    outstanding: int = 0
    """Requests under way."""
    away_until: float = 0.0
    pause_s: float = field(default=FIRST_PAUSE_S, repr=False)
    n_answered: int = 0

    @property
    def base_url(self) -> str:
        """As it is shown: what stands in a query may be meant for the server alone."""
        return self.address.partition("?")[0]

    def at(self, path: str) -> str:
        """The address of an interface beside or under /v1: paths with a leading slash stand beside it. A query of the
        base URL (Azure's api-version) stays behind the path."""
        base, mark, query = self.address.partition("?")
        base = base.rstrip("/")
        whole = f"{base.removesuffix('/v1')}{path}" if path.startswith("/") else f"{base}/{path}"
        return f"{whole}{mark}{query}"


class Route:
    """Which server a conversation keeps to."""

    def __init__(self) -> None:
        self.server: Server | None = None


class Servers:
    """Used from one event loop, so it needs no lock."""

    def __init__(self, base_urls: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._servers = [Server(url) for url in base_urls]
        self._clock = clock

    def __len__(self) -> int:
        return len(self._servers)

    def __iter__(self) -> Iterator[Server]:
        return iter(self._servers)

    def choose(self, route: Route) -> Server:
        """The server of the route while it is there, else the least busy one; when all are away, the first to be tried
        again."""
        if route.server is None or not self._is_there(route.server):
            there = [server for server in self._servers if self._is_there(server)]
            if there:
                route.server = min(there, key=lambda server: server.outstanding)
            else:
                route.server = min(self._servers, key=lambda server: server.away_until)
        return route.server

    def any_is_there(self) -> bool:
        return any(self._is_there(server) for server in self._servers)

    def went_away(self, server: Server) -> bool:
        """Leaves the server out for a while; whether this is news."""
        news = self._is_there(server)
        if news:
            server.away_until = self._clock() + server.pause_s
            server.pause_s = min(2 * server.pause_s, LONGEST_PAUSE_S)
        return news

    def came_back(self, server: Server) -> None:
        server.away_until, server.pause_s = 0.0, FIRST_PAUSE_S
        server.n_answered += 1

    def _is_there(self, server: Server) -> bool:
        return self._clock() >= server.away_until
