"""The history of a name: one event a line, only ever appended to."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from autorule.errors import InputError
from autorule.records import Record
from autorule.registry.promotion import Decision
from autorule.storage import open_no_link

Action = Literal["published", "promoted", "kept", "rolled_back"]
SWITCHES = ("promoted", "rolled_back")
Version = Annotated[str, Field(pattern=r"^v[0-9]{4,9}$")]


class Pointer(Record):
    """A version and its content: current.json."""

    version: Version
    sha256: str


class Event(Record):
    """What was done with a version."""

    time: str
    """UTC, ISO 8601."""
    action: Action
    """`kept`: the version was compared with the current one, which stayed."""
    version: Version
    sha256: str
    """Of the file of the version."""
    current: Version | None
    """The version that is current from then on; None when there is none yet."""
    by: str
    reason: str
    decision: Decision | None = None
    """The comparison with the version that was current, where one was made."""
    run: str | None = None
    """The refresh that did it, by which it knows that it need not do it again."""


def read_events(path: Path) -> list[Event]:
    """The events of a file, none where there is no file. An end that a crash tore off is passed over.

    Raises InputError when the file can't be read or another line of it is no event.
    """
    try:
        *lines, end = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from error
    events = []
    for number, line in enumerate(lines, 1):
        try:
            events.append(Event.model_validate_json(line))
        except ValidationError as error:
            raise InputError(
                f"{path}, line {number} is no event: {error.errors()[0]['msg']}; take the line from a backup, or "
                "remove it"
            ) from error
    return [*events, *([] if _is_torn(end) else [Event.model_validate_json(end)])]


def append_event(path: Path, event: Event) -> None:
    """Adds an event, on disk when this returns. Before it, what a crash tore off goes. The caller holds the lock."""
    before = path.read_bytes() if path.exists() else b""
    end = before[before.rfind(b"\n") + 1 :]
    with open(path, "ab", opener=open_no_link) as file:
        if end and _is_torn(end):
            file.truncate(len(before) - len(end))
        elif end:
            file.write(b"\n")
        file.write(event.model_dump_json().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def way_of(events: Sequence[Event]) -> list[str]:
    """The versions that led to the current one, without those that were given up."""
    way: list[str] = []
    for event in events:
        if event.action in SWITCHES and event.version in way:
            del way[way.index(event.version) :]
        if event.action in SWITCHES:
            way.append(event.version)
    return way


def _is_torn(end: bytes) -> bool:
    """Whether what follows the last line break is less than an event."""
    try:
        Event.model_validate_json(end)
    except ValidationError:
        return True
    return False
