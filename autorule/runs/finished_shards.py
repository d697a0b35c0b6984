"""Which shards of a run are finished, so that a run that is started again goes on where it was, on any machine.

A shard writes its files first and its note last. The note names the files with their sizes, and carries a key of all
that went into them: the same key means that the shard need not be done again. Only shards without a failed request have
a note, since the others have something left to ask. `parts` is the folder of parts of a run.
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import ValidationError

from autorule import __version__
from autorule.records import CallCounts, Record
from autorule.storage import write_text

NOTE = ".done.json"


class FinishedShard(Record):
    """The note of a finished shard."""

    key: str
    n_done: int
    calls: CallCounts
    files: dict[str, int]
    """Name in the folder of parts -> bytes."""


def shard_key(inputs: Iterable[Path], settings: Sequence[str]) -> str:
    """Of the files that go in (one that is missing is different from an empty one) and of everything else that the
    results depend on."""
    digest = hashlib.sha256(__version__.encode())
    for path in inputs:
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "missing"
        digest.update(f"\0{path.name}\0{content}".encode())
    for text in settings:
        digest.update(b"\0" + text.encode())
    return digest.hexdigest()


def note_finished(
    parts: Path, stage: str, shard: int, key: str, files: Iterable[Path], n_done: int, calls: CallCounts
) -> None:
    """Notes that `files`, which are there, are all that the shard makes."""
    sizes = {path.name: path.stat().st_size for path in files}
    note = FinishedShard(key=key, n_done=n_done, calls=calls, files=sizes)
    write_text(_note_path(parts, stage, shard), note.model_dump_json() + "\n")


def find_finished(parts: Path, stage: str, shard: int, key: str) -> FinishedShard | None:
    """The note of the shard where it was finished with the same key and its files are still whole."""
    path = _note_path(parts, stage, shard)
    note = _read(path) if _is_own_file(path) else None
    return note if note is not None and note.key == key and _is_whole(parts, note) else None


def clear_unfinished(parts: Path) -> None:
    """Removes the parts that a stopped run left, but for those of finished shards. A link is no part."""
    paths = list(parts.iterdir()) if parts.exists() else []
    notes = [path for path in paths if path.name.endswith(NOTE) and _is_own_file(path)]
    kept = {name for path in notes if (note := _read(path)) is not None for name in (path.name, *note.files)}
    for path in paths:
        if path.name not in kept or not _is_own_file(path):
            path.unlink(missing_ok=True)


def _note_path(parts: Path, stage: str, shard: int) -> Path:
    return parts / f"{stage}-{shard:05d}{NOTE}"


def _read(path: Path) -> FinishedShard | None:
    try:
        return FinishedShard.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError:  # of another version: what it was about is done again
        return None


def _is_whole(parts: Path, note: FinishedShard) -> bool:
    paths = [(parts / name, size) for name, size in note.files.items()]
    return all(_is_own_file(path) and path.stat().st_size == size for path, size in paths)


def _is_own_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()
