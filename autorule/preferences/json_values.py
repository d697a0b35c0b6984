"""The values of a JSON text, one at a time, each cut out by its brackets and quotes.

A parser that streams builds whatever it meets, however deep or long, and ends with the first value that it can't read.
Here only the end of a value is looked for, within a bound of memory; whether it is JSON is for who reads it.
"""

import re
from typing import IO, NamedTuple

from autorule.preferences.rows import MAX_ROW_BYTES, too_long
from autorule.preferences.strict_json import MAX_DEPTH, TOO_DEEP

CHUNK = 2**16
NO_SPACE = re.compile(rb"[^ \t\r\n]")
OUTSIDE = re.compile(rb'["\[\]{},]')
OUTSIDE_KEY = re.compile(rb'["\[\]{},:]')
STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
"""To the quote at the end of a string, or as far as the chunk goes: a backslash at its end is left."""


class CutOffError(Exception):
    """The text ends in the middle of a value."""


class Fault(NamedTuple):
    """A value that was passed over."""

    code: str
    message: str


class JsonText:
    """A JSON text, of which no more than a value is in memory. `mark` is passed over where the text begins with it."""

    def __init__(self, file: IO[bytes], mark: bytes) -> None:
        self._file = file
        self._chunk = file.read(CHUNK)
        self._at = len(mark) if self._chunk.startswith(mark) else 0
        self._escaped = False

    def peek(self) -> bytes:
        """The next byte that is no space; nothing at the end."""
        while (match := NO_SPACE.search(self._chunk, self._at)) is None:
            if not self._read():
                return b""
        self._at = match.start()
        return match.group()

    def take(self) -> bytes:
        """The same; what follows is the next one then. Raises CutOffError at the end."""
        byte = self.peek()
        if not byte:
            raise CutOffError
        self._at += 1
        return byte

    def value(self, key: bool = False) -> bytes | Fault:
        """What stands before the next comma or closing bracket, or colon after a key. Raises CutOffError where there
        is none."""
        kept = _Kept()
        start, depth, in_string = self._at, 0, False
        while True:
            if in_string:
                in_string = not self._pass_string()
            elif match := (OUTSIDE_KEY if key else OUTSIDE).search(self._chunk, self._at):
                byte, self._at = match.group(), match.end()
                if byte == b'"':
                    in_string = True
                elif byte in b"[{":
                    depth += 1
                    kept.deepest = max(kept.deepest, depth)
                elif depth == 0:
                    self._at -= 1
                    return kept.with_end(self._chunk[start : self._at])
                elif byte in b"]}":
                    depth -= 1
                    if depth == 0:
                        return kept.with_end(self._chunk[start : self._at])
                continue
            else:
                self._at = len(self._chunk)
            if self._at == len(self._chunk):
                kept.add(self._chunk[start:])
                start = 0
                if not self._read():
                    raise CutOffError

    def _pass_string(self) -> bool:
        """Whether the string ended in this chunk."""
        if self._escaped:
            self._at, self._escaped = self._at + 1, False
        match = STRING.match(self._chunk, self._at)
        assert match is not None
        last = self._chunk[match.end() : match.end() + 1]
        self._at = match.end() + len(last)
        self._escaped = last == b"\\"  # what it stands before comes with the next chunk
        return last == b'"'

    def _read(self) -> bool:
        self._chunk, self._at = self._file.read(CHUNK), 0
        return bool(self._chunk)


class _Kept:
    """What was read of a value: nothing any more once it is too deep or too long."""

    def __init__(self) -> None:
        self.deepest = 0
        self._parts: list[bytes] = []
        self._n_bytes = 0

    def add(self, part: bytes) -> None:
        self._n_bytes += len(part)
        if self.deepest > MAX_DEPTH or self._n_bytes > MAX_ROW_BYTES:
            self._parts.clear()
        else:
            self._parts.append(part)

    def with_end(self, part: bytes) -> bytes | Fault:
        self.add(part)
        if self.deepest > MAX_DEPTH:
            return Fault("not_json", TOO_DEEP)
        if self._n_bytes > MAX_ROW_BYTES:
            return Fault("too_long", too_long())
        return b"".join(self._parts)
