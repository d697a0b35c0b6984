"""Progress of long work, told to whoever listens: the command line draws bars from it, a flow may log it.

Work runs in threads that know nothing of the terminal, so the listener is one for the process.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from autorule.records import CallCounts


class Step(NamedTuple):
    name: str
    done: int
    """Items done by this step alone; 0 announces the work."""
    total: int | None = None
    """Items in all, where this step announces them."""
    calls: CallCounts | None = None
    """What was asked for the items done, and what the cache served; None where each took a call."""


_listeners: list[Callable[[Step], None]] = []
_announced: dict[str, int] = {}


@contextmanager
def listening(listener: Callable[[Step], None]) -> Iterator[None]:
    """Calls `listener` (from any thread) for every step while the block runs."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def announce(name: str, total: int) -> None:
    _announced[name] = total
    for listener in _listeners:
        listener(Step(name, 0, total))


def announced(name: str) -> int:
    """How many items the work of this name was to do when it was announced last; 0 for work that never was."""
    return _announced.get(name, 0)


def advance(name: str, n: int = 1, calls: CallCounts | None = None) -> None:
    for listener in _listeners:
        listener(Step(name, n, calls=calls))
