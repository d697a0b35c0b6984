"""Runs the reward server until it is told to stop; what is being scored is finished first, within a grace."""

import asyncio
import ipaddress
import os
import re
import signal
import socket
import sys

import uvicorn
from pydantic import Field

from autorule.code_checks import MOST
from autorule.config.stages import Config
from autorule.config.values import MOST_SECONDS, Count
from autorule.errors import ConfigError, in_words
from autorule.rewards import RuleReward
from autorule.serving.app import make_app
from autorule.serving.batching import Batcher
from autorule.serving.following import Followed
from autorule.serving.guards import Guard, PromptHeaders
from autorule.serving.live import Live
from autorule.serving.metrics import Metrics

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]", "::1"})
SHARE_TO_FINISH = 0.8
"""Of the grace. What is not scored by then is answered with 503, which takes a moment too."""


class ServeConfig(Config):
    """Where the server listens, and what it puts up with."""

    host: str = "127.0.0.1"
    port: int = Field(8100, ge=0, le=65535)
    allow_hosts: tuple[str, ...] = ()
    max_body_mb: float = Field(32.0, gt=0, le=MOST)
    body_s: float = Field(30.0, gt=0, le=MOST_SECONDS)
    workers: int = Field(8, ge=1, le=10_000)
    max_waiting: Count = Field(4096, ge=0)
    grace_s: float = Field(20.0, ge=0, le=MOST_SECONDS)
    """Within which the server has ended after SIGTERM; Kubernetes kills after 30 s."""


def check_binding(config: ServeConfig, token: str | None) -> None:
    """Raises ConfigError for an address beyond this machine without a token."""
    if token is None and not _is_loopback(config.host):
        raise ConfigError(
            f"--host {config.host} can be reached from elsewhere: name the environment variable that holds a token "
            "with --token-env"
        )
    if token is not None and not re.fullmatch(r"[A-Za-z0-9_-]{16,}", token):
        raise ConfigError("the token is too weak, or no part of a path: give 16 or more of A-Z, a-z, 0-9, - and _")


def serve(reward: RuleReward, config: ServeConfig, token: str | None, followed: Followed | None = None) -> None:
    """Listens until SIGTERM or Ctrl-C. `followed`: where `reward` has its rule set from, to be replaced when another
    version becomes current there.

    Raises ConfigError as `check_binding`, and when the port is taken.
    """
    check_binding(config, token)
    name, version = (None, None) if followed is None else (followed.registry.name, followed.first.version)
    live = Live(reward, lambda own: Batcher(own, config.workers, max_waiting=config.max_waiting), name, version)
    hosts = LOOPBACK_HOSTS | {host.lower() for host in (config.host, *config.allow_hosts)}
    app = Guard(
        make_app(live, Metrics(), followed),
        None if token is not None and not config.allow_hosts else frozenset(hosts),
        token,
        int(config.max_body_mb * 1e6),
        config.body_s,
    )
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((config.host, config.port))
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"can't listen at {config.host}:{config.port}: {in_words(error)}; give another --port"
        ) from error
    settings = uvicorn.Config(
        app,
        http=PromptHeaders,
        access_log=False,  # it would show a token in a path
        log_level="warning",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=config.grace_s,  # type: ignore[arg-type]  # seconds, whole or not
        server_header=False,
        lifespan="on",
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))  # uvicorn raises it once more when all is finished
    server = _Server(settings, live, app)
    try:
        server.run(sockets=[listener])
    except SystemExit:
        if server.left_scoring:  # a thread that hangs in the verifier would be waited for without end
            sys.stderr.flush()
            os._exit(0)
        raise


class _Server(uvicorn.Server):
    """uvicorn's, which answers whoever still waits when the grace runs out, rather than dropping the connection."""

    def __init__(self, settings: uvicorn.Config, live: Live, guard: Guard) -> None:
        super().__init__(settings)
        self._live = live
        self._guard = guard
        self.left_scoring = False
        """Whether a thread was still at work when the grace had run out."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        grace_s = self.config.timeout_graceful_shutdown or 0
        asyncio.get_running_loop().call_later(SHARE_TO_FINISH * grace_s, self._give_up)
        await super().shutdown(sockets)
        self.left_scoring = self._live.is_scoring

    def _give_up(self) -> None:
        self._guard.give_up()
        self._live.give_up()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
