"""Progress bars in the Prefect UI, fed by the steps that work reports: a bar moves with the requests."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from autorule.runs.progress import Step, listening
from autorule.tasks.never_fatal import never_fatal
from autorule.tasks.steps import in_flow_run

EVERY_S = 2.0
"""Between two moves of one bar: each is a call to the server."""


class Bar:
    """One bar. Many threads advance it, one at a time tells the server."""

    def __init__(self, name: str) -> None:
        self._name, self._total, self._done = name, 0, 0
        self._id: UUID | None = None
        self._told: tuple[int, int] | None = None
        self._told_at = 0.0
        self._counting, self._telling = threading.Lock(), threading.Lock()

    def grow(self, total: int) -> None:
        with self._counting:
            self._total += total
        self.tell()

    def advance(self, n: int) -> None:
        with self._counting:
            self._done += n
        if self._done >= self._total or time.monotonic() - self._told_at > EVERY_S:
            self.tell()

    def tell(self) -> None:
        """Makes the bar, or moves it when the work has moved on; nothing while another thread does so."""
        if self._telling.acquire(blocking=False):
            try:
                now = (self._done, self._total)
                if self._total and now != self._told:
                    with never_fatal():
                        self._show(*now)
                    self._told, self._told_at = now, time.monotonic()
            finally:
                self._telling.release()

    def _show(self, done: int, total: int) -> None:
        share, words = min(100.0, 100.0 * done / total), f"{self._name}: {done:,} of {total:,}"
        if self._id is None:
            made: Any = create_progress_artifact(progress=share, key=_key(self._name), description=words)
            self._id = made if isinstance(made, UUID) else None
        else:
            update_progress_artifact(self._id, progress=share, description=words)


@contextmanager
def progress_bars() -> Iterator[None]:
    """Inside a flow run, a bar for each stage that begins in the block."""
    if not in_flow_run():
        yield
        return
    bars: dict[str, Bar] = {}

    def show(step: Step) -> None:
        if step.total is not None:
            for before in list(bars.values()):
                before.tell()
            bars.setdefault(step.name, Bar(step.name)).grow(step.total)
        elif step.name in bars:
            bars[step.name].advance(step.done)

    try:
        with listening(show):
            yield
    finally:
        for bar in bars.values():
            bar.tell()


def _key(name: str) -> str:
    """An artifact's key: lower case, digits and dashes."""
    return "".join(char if char.isalnum() else "-" for char in name.lower()) + "-progress"
