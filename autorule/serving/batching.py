"""Requests of many clients, scored together: what arrives while others are being scored waits for the next batch."""

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from autorule.errors import AutoruleError
from autorule.rewards import RuleReward, Scored


class FullError(Exception):
    """More completions wait than the server keeps waiting."""


class Item(NamedTuple):
    """One completion to score."""

    prompt: Any
    completion: Any
    rules: Any = None
    """Ids of the rules that apply to the prompt; all of them when None."""


class Batcher:
    """Scores on `n_workers` threads, at most `max_batch` completions in one call of the reward."""

    def __init__(self, reward: RuleReward, n_workers: int = 8, max_batch: int = 256, max_waiting: int = 4096) -> None:
        self._reward = reward
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._free_workers = n_workers
        self._waiting: deque[tuple[Item, asyncio.Future[Scored]]] = deque()
        self._executor = ThreadPoolExecutor(n_workers, thread_name_prefix="autorule-score")
        self._running: set[asyncio.Task[None]] = set()

    @property
    def n_waiting(self) -> int:
        return len(self._waiting)

    async def score(self, items: Sequence[Item]) -> list[Scored]:
        """The scores, in order. Raises FullError when there is no room, and what the reward raises."""
        if len(self._waiting) + len(items) > self._max_waiting:
            raise FullError(f"{len(self._waiting)} completions wait; there is room for {self._max_waiting}")
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in items]
        self._waiting.extend(zip(items, futures, strict=True))
        loop.call_soon(self._start)  # after the other requests that are ready to be read
        try:
            return list(await asyncio.gather(*futures))
        finally:
            for future in futures:
                future.cancel()  # nobody waits for it any more

    def _start(self) -> None:
        while self._free_workers and self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(self._max_batch, len(self._waiting)))]
            batch = [(item, future) for item, future in batch if not future.done()]
            if not batch:
                continue
            self._free_workers -= 1
            task = asyncio.create_task(self._run(batch))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _run(self, batch: list[tuple[Item, "asyncio.Future[Scored]"]]) -> None:
        loop = asyncio.get_running_loop()
        try:
            outcomes = await loop.run_in_executor(self._executor, self._outcomes, [item for item, _ in batch])
            for (_, future), outcome in zip(batch, outcomes, strict=True):
                if future.done():
                    continue
                if isinstance(outcome, Exception):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)
        finally:
            self._free_workers += 1
            self._start()

    def _outcomes(self, items: list[Item]) -> list[Scored | Exception]:
        """Of the whole batch; where it fails, of each by itself, so that a bad request is its sender's alone."""
        try:
            return list(self._score(items))
        except AutoruleError as error:
            if len(items) == 1:
                return [error]
            return [outcome for item in items for outcome in self._outcomes([item])]
        except Exception as error:  # noqa: BLE001 - handed to the requests that wait for it
            return [error] * len(items)

    def _score(self, items: list[Item]) -> list[Scored]:
        columns = {self._reward.settings.rules_column: [item.rules for item in items]}
        return self._reward.score([item.prompt for item in items], [item.completion for item in items], columns)

    def close(self) -> None:
        self._executor.shutdown(wait=True)
