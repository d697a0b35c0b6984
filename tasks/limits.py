"""Limits over all runs of a Prefect server: who may use a GPU, and how many shards ask one server at once.

They guard whole shards or runs; requests in flight are limited by the back end. A limit that nobody made is none.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from urllib.parse import urlsplit

from prefect.client.orchestration import get_client
from prefect.concurrency.sync import concurrency
from prefect.context import TaskRunContext
from prefect.exceptions import ObjectNotFound

from autorule.config import ModelConfig
from autorule.prefect_setup import GPU_LIMIT
from autorule.tasks.steps import in_flow_run

ENDPOINT_LIMIT = "autorule-endpoint-"
"""Followed by host and port of a server: shards at once that ask it."""

IN_PROCESS = ("vllm_engine", "transformers_local")
_held: ContextVar[bool] = ContextVar("gpu_slot", default=False)

log = logging.getLogger(__name__)


@contextmanager
def gpu_slot(*models: ModelConfig) -> Iterator[None]:
    """Inside, this run may load these models into the memory of a GPU. Waits while other runs hold all slots; nothing
    where no model is in the process, and where the run holds a slot already."""
    needed = any(model.backend in IN_PROCESS and model.device != "cpu" for model in models)
    if not needed or _held.get() or not in_flow_run() or not _exists(GPU_LIMIT):
        yield
        return
    log.info("asking for a slot of %s; waiting while other runs hold all of them", GPU_LIMIT)
    with concurrency(GPU_LIMIT, occupy=1):
        log.info("holding a slot of %s until the run ends", GPU_LIMIT)
        token = _held.set(True)
        try:
            yield
        finally:
            _held.reset(token)


@contextmanager
def endpoint_slots(model: ModelConfig) -> Iterator[None]:
    """Inside, a shard may ask the servers of `model`: those of them that have a limit."""
    wanted = [ENDPOINT_LIMIT + urlsplit(url).netloc for url in model.base_url]
    names = [name for name in wanted if _exists(name)] if TaskRunContext.get() is not None else []
    if not names:
        yield
        return
    with concurrency(names, occupy=1):
        yield


@cache
def _exists(name: str) -> bool:
    """Whether the server knows such a limit; asked once a process, since asking takes as long as a shard's start."""
    with get_client(sync_client=True) as client:
        try:
            client.read_global_concurrency_limit_by_name(name)
        except ObjectNotFound:
            return False
    return True
