"""The files that a setting names: one, several with a colon between them (as in PATH), or all that a pattern such as
`data/*.jsonl` or `data/**/*.parquet` matches."""

import glob
import os
import re
from collections.abc import Sequence
from pathlib import Path

from autorule.errors import InputError

PATTERN = re.compile(r"[*?\[]")


def together(files: Sequence[Path]) -> Path:
    """Several files, or patterns, as one setting."""
    return Path(os.pathsep.join(map(str, files)))


def files_of(path: Path) -> list[Path]:
    """The path itself, whether it is there or not; of several each, in their order; of a pattern the files that match,
    in the order of their names.

    Raises InputError for a pattern that none matches, and for a file that comes twice, perhaps by a link.
    """
    parts = [path] if path.exists() else [Path(part) for part in str(path).split(os.pathsep) if part]
    files = [file for part in parts for file in _matched_by(part)]
    if len(files) > 1:
        _refuse_twice(path, files)
    return files


def _matched_by(path: Path) -> list[Path]:
    if path.exists() or not PATTERN.search(str(path)):
        return [path]
    found = glob.glob(str(path), recursive=True)  # noqa: PTH207  # Path.glob takes no absolute pattern
    files = sorted(file for file in map(Path, found) if file.is_file())
    if not files:
        raise InputError(f"{path} matches no file; give files, or a pattern that matches some")
    return files


def _refuse_twice(path: Path, files: Sequence[Path]) -> None:
    real: dict[Path, Path] = {}
    for file in files:
        if (before := real.get(file.resolve())) is not None:
            raise InputError(f"{path}: {before} and {file} are the same file; leave out one")
        real[file.resolve()] = file


def names_of(files: Sequence[Path]) -> list[str]:
    """What tells the files of a pattern apart: their paths from the folder that they share."""
    shared = 0
    for parts in zip(*(file.parent.parts for file in files), strict=False):
        if len(set(parts)) > 1:
            break
        shared += 1
    return [Path(*file.parts[shared:]).as_posix() for file in files]
