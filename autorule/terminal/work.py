"""How long work looks on the terminal, and how it ends when it is stopped.

On a terminal there is a bar for each stage. Elsewhere, such as in the log of a batch job, a stage has a line a minute.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from autorule.runs import progress
from autorule.terminal.console import err, print_error
from autorule.terminal.pace import Pace

BETWEEN_LINES_S = 60.0


class Terminated(KeyboardInterrupt):
    """The process was told to end (SIGTERM), as by a scheduler whose time is up."""


class PaceColumn(ProgressColumn):
    """What was known before, items asked a second, and the time that is left."""

    def render(self, task: Task) -> Text:
        return Text("  ".join(part for part in _figures(task.fields["pace"], time.monotonic()) if part))


class StageLines:
    """A line for each stage when it is announced, then at most one a minute. Called from any thread."""

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._clock = clock
        self._lock = threading.Lock()
        self._paces: dict[str, Pace] = {}
        self._last_line: dict[str, float] = {}

    def __call__(self, step: progress.Step) -> None:
        with self._lock:
            now, name = self._clock(), step.name
            if step.total is None and name not in self._paces:
                return
            # A stage that works in rounds is announced for each of them: they are counted together.
            pace = self._paces.setdefault(name, Pace(now))
            pace.add(step, now)
            if pace.total and now - self._last_line.get(name, -BETWEEN_LINES_S) >= BETWEEN_LINES_S:
                self._last_line[name] = now
                self._write(_line(name, pace, now))

    def end(self) -> None:
        """A last line for each stage."""
        with self._lock:
            for name, pace in self._paces.items():
                if pace.total:
                    self._write(_line(name, pace, pace.latest))


def _line(name: str, pace: Pace, now: float) -> str:
    line, elapsed = f"{name}: {pace.done:,} of {pace.total:,}", now - pace.began
    if not pace.done or elapsed <= 0:
        return line
    known, rate, left = _figures(pace, now)
    return ", ".join(part for part in (line, known, rate, _duration(elapsed), left) if part)


def _figures(pace: Pace, now: float) -> tuple[str, str, str]:
    """`200 known before`, `6.7/s`, `about 8 min left`; empty where there is nothing to say."""
    rate, left = pace.rate(now), pace.seconds_left(now)
    return (
        f"{pace.n_known:,} known before" if pace.n_known else "",
        "" if rate is None else _rate(rate),
        "" if left is None else f"about {_duration(left)} left",
    )


@contextmanager
def _progress_shown() -> Iterator[None]:
    """Shows the steps that work reports while the block runs."""
    with _bars() if err.is_terminal else _lines():
        yield


@contextmanager
def work_shown(how_to_go_on: str) -> Iterator[None]:
    """The same for work that ends the process when it is stopped, by Ctrl-C or SIGTERM, with a line on how to go on."""
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, _terminate) if is_main else None
    try:
        with _progress_shown():
            yield
    except KeyboardInterrupt as stop:
        by_signal = isinstance(stop, Terminated)
        print_error(f"stopped{' by SIGTERM' if by_signal else ''}; {how_to_go_on}")
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:  # closed from the beginning
                stream.flush()
        # Shards at work in threads would hold the process until their last answer.
        os._exit(128 + (signal.SIGTERM if by_signal else signal.SIGINT))
    finally:
        if is_main:
            signal.signal(signal.SIGTERM, before)


def how_to_go_on(cached: bool, in_run_folder: bool = False) -> str:
    """What to do after a stop, by where finished work is kept."""
    if cached:
        return "run the same command again to go on: finished answers are in the cache"
    if in_run_folder:
        return "run the same command again to go on: finished shards are in the run folder"
    return "run the same command again: it begins anew, since no answers were kept (--no-cache)"


def _terminate(number: int, frame: object) -> NoReturn:
    raise Terminated


@contextmanager
def _bars() -> Iterator[None]:
    columns = (
        TextColumn("{task.description:>15}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        PaceColumn(),
    )
    bars: dict[str, tuple[TaskID, Pace]] = {}
    with Progress(*columns, console=err, transient=False) as display:

        def show(step: progress.Step) -> None:
            now = time.monotonic()
            if step.total is not None:
                pace = Pace(now)
                bars[step.name] = display.add_task(step.name, total=step.total, pace=pace), pace
            if step.name in bars:
                bar, pace = bars[step.name]
                pace.add(step, now)
                display.advance(bar, step.done)

        with progress.listening(show):
            yield


@contextmanager
def _lines() -> Iterator[None]:
    lines = StageLines(lambda line: err.print(line, markup=False))
    with progress.listening(lines):
        try:
            yield
        finally:
            lines.end()


def _rate(rate: float) -> str:
    return f"{rate:,.1f}/s" if rate < 100 else f"{rate:,.0f}/s"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
