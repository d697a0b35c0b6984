"""Limits over all runs of a Prefect server: who may use a GPU, and how many shards ask one server at once.

They guard whole shards or runs; requests in flight are limited by the back end. A limit that nobody made is none.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import cache
from urllib.parse import urlsplit

from prefect.client.orchestration import get_client
from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError
from prefect.concurrency.sync import concurrency
from prefect.context import TaskRunContext
from prefect.exceptions import ObjectNotFound

from autorule.backends import stopping
from autorule.config.models import ModelConfig
from autorule.local_prefect.setup import GPU_LIMIT
from autorule.tasks.steps import in_flow_run

ENDPOINT_LIMIT = "autorule-endpoint-"
"""Followed by host and port of a server: shards at once that ask it."""

ASK_AGAIN_S = 2.0
LOCKED = 423
"""HTTP status of a limit without a free slot."""
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
    with _slots([GPU_LIMIT]):
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
    with _slots(names):
        yield


@contextmanager
def _slots(names: list[str]) -> Iterator[None]:
    """Inside, a slot of each limit is held. Asks again and again by itself: Prefect's own waiting goes on in a thread
    that a cancelled run can't end."""
    with ExitStack() as stack:
        while not _taken(stack, names):
            stopping.check()
            time.sleep(ASK_AGAIN_S)
        yield


def _taken(stack: ExitStack, names: list[str]) -> bool:
    """Whether there were slots, which the stack then gives back."""
    try:
        stack.enter_context(concurrency(names, occupy=1, max_retries=0))
    except ConcurrencySlotAcquisitionError as error:
        reply = getattr(error.__cause__, "response", None)
        if reply is None or reply.status_code != LOCKED:
            raise
        return False
    return True


@cache
def _exists(name: str) -> bool:
    """Whether the server knows such a limit; asked once a process, since asking takes as long as a shard's start."""
    with get_client(sync_client=True) as client:
        try:
            client.read_global_concurrency_limit_by_name(name)
        except ObjectNotFound:
            return False
    return True
