"""Many coroutines with a limit of how many run at once, driven from ordinary threads.

One event loop in one thread for the whole process side of a remote back end; any thread may hand it work, and the
limit holds over all of them.
"""

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


class InFlight:
    def __init__(self, limit: int) -> None:
        self._limit = asyncio.Semaphore(limit)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="autorule-in-flight", daemon=True)
        self._thread.start()

    def run(self, work: Callable[[Job], Awaitable[Result]], jobs: Sequence[Job]) -> Iterator[Result]:
        """The result of `work` for every job, as they complete.

        An exception of `work` is raised here and cancels the jobs that are not finished, and so does closing the
        iterator early.
        """
        results: queue.SimpleQueue[Result | Exception] = queue.SimpleQueue()

        async def one(job: Job) -> None:
            async with self._limit:
                try:
                    results.put(await work(job))
                except Exception as error:  # noqa: BLE001 - handed to the thread that asked, which raises it
                    results.put(error)

        async def everything() -> None:
            async with asyncio.TaskGroup() as group:
                for job in jobs:
                    group.create_task(one(job))

        running = asyncio.run_coroutine_threadsafe(everything(), self._loop)
        try:
            for _ in jobs:
                result = results.get()
                if isinstance(result, Exception):
                    raise result
                yield result
        finally:
            running.cancel()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
