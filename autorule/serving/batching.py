"""Requests of many clients, scored together: what arrives while others are being scored waits for the next batch."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from autorule.errors import BackendError, ConfigError, in_words
from autorule.rewards import RuleReward, Scored
from autorule.serving.guards import ENDING


class FullError(Exception):
    """More completions wait than the server keeps waiting."""


class Item(NamedTuple):
    """One completion to score."""

    prompt: Any
    completion: Any
    columns: Mapping[str, Any] = {}
    """Further values of the row, such as the ids of the rules that apply to the prompt."""


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
        self._asked_for: set[asyncio.Future[Scored]] = set()
        self._is_ending = False

    @property
    def n_waiting(self) -> int:
        return len(self._waiting)

    @property
    def is_scoring(self) -> bool:
        """Whether a thread is at work, for whomever."""
        return bool(self._running)

    async def score(self, items: Sequence[Item]) -> list[Scored]:
        """The scores, in order. Raises FullError when there is no room, ConfigError when there never is,
        and what the reward raises."""
        if self._is_ending:
            raise BackendError(ENDING)
        if len(items) > self._max_waiting:
            raise ConfigError(f"{len(items)} completions in one request; at most {self._max_waiting} are taken")
        if len(self._waiting) + len(items) > self._max_waiting:
            raise FullError(f"{len(self._waiting)} completions wait; there is room for {self._max_waiting}")
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Scored]] = [loop.create_future() for _ in items]
        self._asked_for.update(futures)
        self._waiting.extend(zip(items, futures, strict=True))
        loop.call_soon(self._start)  # after the other requests that are ready to be read
        try:
            return list(await asyncio.gather(*futures))
        finally:
            self._asked_for.difference_update(futures)
            for future in futures:
                future.cancel()  # nobody waits for it any more

    def give_up(self) -> None:
        """Ends the wait of every request with a BackendError: the server goes before the verifier has answered."""
        self._is_ending = True
        for future in self._asked_for:
            if not future.done():
                future.set_exception(BackendError(ENDING))

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
        """Of the whole batch; where a request in it is bad, of its halves, so that it is its sender's trouble alone."""
        try:
            return list(self._score(items))
        except (ConfigError, ValueError, TypeError, ArithmeticError) as error:  # of a row: a number too large, or none
            half = len(items) // 2
            if half:
                return [*self._outcomes(items[:half]), *self._outcomes(items[half:])]
            told = f"the row can't be scored: {type(error).__name__}: {in_words(error)}"
            return [error if isinstance(error, ConfigError) else ConfigError(told)]
        except Exception as error:  # noqa: BLE001 - handed to the requests that wait for it
            return [error] * len(items)

    def _score(self, items: list[Item]) -> list[Scored]:
        names = dict.fromkeys(name for item in items for name in item.columns)
        columns = {name: [item.columns.get(name) for item in items] for name in names}
        return self._reward.score([item.prompt for item in items], [item.completion for item in items], columns)

    def close(self) -> None:
        """What is being scored is left to itself: whoever waited for it is gone."""
        self._executor.shutdown(wait=False, cancel_futures=True)
