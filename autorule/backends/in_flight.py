"""Many coroutines with a limit of how many are under way, driven from ordinary threads.

One event loop in one thread for a remote back end; any thread may hand it work, and the limit holds over all of them.
A job is under way until its result was taken *and* worked on: whoever commits an answer before asking for the next
one loses at most `limit` answers when the process dies.
"""

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TypeVar

from autorule.backends import stopping

Job = TypeVar("Job")
Result = TypeVar("Result")


class _AllDone:
    """Comes after the last result. `broken`: what the jobs themselves raised, which ended them."""

    def __init__(self, broken: Exception | None) -> None:
        self.broken = broken


class InFlight:
    def __init__(self, limit: int) -> None:
        self._limit = asyncio.Semaphore(limit)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="autorule-in-flight", daemon=True)
        self._thread.start()

    def run(self, work: Callable[[Job], Awaitable[Result]], jobs: Iterable[Job]) -> Iterator[Result]:
        """The result of `work` for every job, as they complete. `jobs` is read in the loop's thread, one by one as
        places fall free.

        An exception of `work` is raised here. It ends the jobs that are not finished, and so does closing the
        iterator early, and a cancelled run (StoppedError). What `jobs` itself raises comes after the last result.
        """
        results: queue.SimpleQueue[Result | Exception | _AllDone] = queue.SimpleQueue()

        async def one(job: Job) -> None:
            try:
                results.put(await work(job))
            except Exception as error:  # noqa: BLE001 - handed to the thread that asked, which raises it
                results.put(error)

        def ended(task: asyncio.Task[None]) -> None:
            if task.cancelled():
                self._limit.release()

        broken: list[Exception] = []

        def unbroken() -> Iterator[Job]:
            try:
                yield from jobs
            except Exception as error:  # noqa: BLE001 - raised in the thread that asked
                broken.append(error)

        async def everything() -> None:
            async with asyncio.TaskGroup() as group:
                for job in unbroken():
                    await self._limit.acquire()  # before the task is made: there are never more tasks than places
                    group.create_task(one(job)).add_done_callback(ended)
            results.put(_AllDone(broken[0] if broken else None))

        async def start() -> asyncio.Task[None]:
            return asyncio.create_task(everything())

        async def stop() -> None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

        with stopping.woken_by(results.put):
            running = asyncio.run_coroutine_threadsafe(start(), self._loop).result()
            try:
                while not isinstance(result := results.get(), _AllDone):
                    if isinstance(result, stopping.StoppedError):  # no job's, so no place falls free
                        raise result
                    try:
                        if isinstance(result, Exception):
                            raise result
                        yield result
                    finally:
                        self._release()
                if result.broken is not None:
                    raise result.broken
            finally:
                asyncio.run_coroutine_threadsafe(stop(), self._loop).result()
                while not results.empty():
                    if not isinstance(results.get(), (_AllDone, stopping.StoppedError)):
                        self._release()

    def close(self, last: Callable[[], Awaitable[None]] | None = None) -> None:
        """Ends the loop, after `last` was awaited in it. In a forked child, where the thread is not, does nothing."""
        if not self._thread.is_alive():
            return

        async def end() -> None:
            if last is not None:
                await last()

        asyncio.run_coroutine_threadsafe(end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _release(self) -> None:
        self._loop.call_soon_threadsafe(self._limit.release)
