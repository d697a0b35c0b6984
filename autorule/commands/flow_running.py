"""Runs a flow for a command. What it reads and writes is looked at first: what runs a flow takes seconds to load."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from autorule.backends import check_cache
from autorule.config.runs import RunConfig
from autorule.errors import ConfigError, MissingExtraError, in_words
from autorule.preferences.readers import check_file
from autorule.rules.rule_sets import load_rule_set
from autorule.terminal.work import how_to_go_on, work_shown

DATA = ("completions", "pairs", "held_out")
"""Settings of flows that name a file of rows."""


def run_flow(flow_name: str, config: RunConfig, prefect: bool | None) -> Any:
    """Runs a flow with its progress shown: as a Prefect flow run where there is a server, else as plain functions.

    Raises InputError and RuleSetError for a file that is not there, ConfigError for a cache that can't be made
    and for a Prefect server that is away.
    """
    _check_places(config)
    flow = _load_flow(flow_name)
    going_on = how_to_go_on(config.cache.enabled, config.run_id is not None)
    with work_shown(going_on):
        if not _use_prefect(prefect):
            return flow.fn(config)
        with _server_needed(going_on):
            return flow(config)


def forecast_evaluation(config: RunConfig) -> Any:
    """What an evaluation would send; raises as run_flow does, but for the cache, which is not opened."""
    _check_files(config)
    with _prefect_needed():
        from autorule.tasks.evaluation_forecast import forecast_evaluation
    return forecast_evaluation(config)


def forecast_extraction(config: RunConfig) -> Any:
    """What an extraction would send."""
    with _prefect_needed():
        from autorule.tasks.forecast import forecast_extraction
    return forecast_extraction(config)


def _check_places(config: RunConfig) -> None:
    _check_files(config)
    check_cache(config.cache)


def _check_files(config: RunConfig) -> None:
    if (rules := getattr(config, "rules", None)) is not None:
        load_rule_set(rules)
    for name in DATA:
        if (path := getattr(config, name, None)) is not None:
            check_file(path)


def _load_flow(name: str) -> Any:
    with _prefect_needed():
        return getattr(importlib.import_module(f"autorule.flows.{name}"), name)


@contextmanager
def _prefect_needed() -> Iterator[None]:
    """Around an import of what runs in Prefect. Raises MissingExtraError where Prefect is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] == "prefect":
            raise MissingExtraError("prefect", "flows", "running a flow") from error
        raise


def _use_prefect(asked: bool | None) -> bool:
    return bool(_server_url()) if asked is None else asked


def _server_url() -> str | None:
    from prefect.settings import PREFECT_API_URL

    url: str | None = PREFECT_API_URL.value()
    return url


@contextmanager
def _server_needed(going_on: str) -> Iterator[None]:
    """Around a run in Prefect. Raises ConfigError when its server is away, before or while the run needs it."""
    import httpx
    from prefect.client.orchestration import get_client

    server = urlsplit(_server_url() or "").netloc.rpartition("@")[2]  # without a password
    with get_client(sync_client=True) as client:
        fault = (client.api_healthcheck() or _no_prefect(client)) if server else None
    if fault is not None:
        raise ConfigError(
            f"the Prefect server at {server} can't be reached: {in_words(fault)}; start it (autorule prefect start), "
            "correct PREFECT_API_URL, or go on without it: --no-prefect"
        )
    try:
        yield
    except (httpx.RequestError, RuntimeError) as error:
        asked = error.request.url.netloc.decode() if isinstance(error, httpx.RequestError) else in_words(error)
        if not server or server not in asked:
            raise
        raise ConfigError(
            f"the Prefect server at {server} went away: {in_words(error)}; {going_on}; --no-prefect goes on without it"
        ) from error


def _no_prefect(client: Any) -> Exception | None:
    """What shows that a server which is well is another one than Prefect's."""
    try:
        version = client.api_version()
    except Exception as error:  # noqa: BLE001 - whatever its reply causes
        return error
    return None if isinstance(version, str) else ValueError("it tells no version, and may be no Prefect server")
