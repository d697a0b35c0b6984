"""What a command writes never ends it: a reader that went away, a full disk, a terminal of another encoding.

Only the streams of the process are looked after, not what a test or a notebook has put in their place.
"""

import errno
import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from autorule.errors import in_words

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class KeptOutput(io.RawIOBase):
    """A file descriptor that takes everything: after the first fault nothing more is written, and the fault is kept."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.fault: OSError | None = None

    def write(self, data: "ReadableBuffer") -> int:
        if self.fault is None:
            try:
                return os.write(self._descriptor, data)
            except OSError as fault:
                self.fault = fault
        return memoryview(data).nbytes

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)


@contextmanager
def streams_kept() -> Iterator[KeptOutput]:
    """stdout and stderr that raise nothing while the block runs; what became of stdout."""
    before = sys.stdout, sys.stderr
    told = KeptOutput(1)
    if sys.__stdout__ is not None and sys.stdout is sys.__stdout__:
        sys.stdout = _text_on(told, sys.__stdout__)
    if sys.__stderr__ is not None and sys.stderr is sys.__stderr__:
        sys.stderr = _text_on(KeptOutput(2), sys.__stderr__)
    try:
        yield told
    finally:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        if told.fault is not None and told.fault.errno != errno.EPIPE:
            print(f"Error: stdout can't be written: {in_words(told.fault)}; write to another file", file=sys.stderr)
        sys.stdout, sys.stderr = before


def exit_code(code: int, stdout: KeptOutput) -> int:
    """That of a command which ended with `code`: one that succeeded, but could not say so, did not; where the reader
    went away it is that of SIGPIPE, as of other commands in a pipe."""
    if code != 0 or stdout.fault is None:
        return code
    return 128 + signal.SIGPIPE if stdout.fault.errno == errno.EPIPE else 2


def _text_on(raw: KeptOutput, before: TextIO) -> TextIO:
    """What the encoding does not have is shown by its number."""
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        before.encoding,
        errors="backslashreplace",
        line_buffering=raw.isatty() or raw.fileno() == 2,
    )
