"""The files that a setting names: one, several with a colon between them (as in PATH), or all that a pattern such as
`data/*.jsonl` or `data/**/*.parquet` matches. A colon in one of several names has a backslash before it."""

import glob
import os
import re
from collections.abc import Sequence
from pathlib import Path

from autorule.errors import InputError

PATTERN = re.compile(r"[*?\[]")
PARTS = re.compile(rf"(?:\\.|[^{os.pathsep}])+", re.DOTALL)
ESCAPED = re.compile(rf"\\([\\{os.pathsep}])")


def together(files: Sequence[Path]) -> Path:
    """Several files, or patterns, as one setting."""
    if len(files) == 1:
        return files[0]
    return Path(os.pathsep.join(re.sub(rf"[\\{os.pathsep}]", r"\\\g<0>", str(file)) for file in files))


def files_of(path: Path) -> list[Path]:
    """The path itself, whether it is there or not; of several each, in their order; of a pattern the files that match,
    in the order of their names.

    Raises InputError for a pattern that none matches, and for a file that comes twice, perhaps by a link.
    """
    files = [file for part in _parts(path) for file in _matched_by(part)]
    if len(files) > 1:
        _refuse_twice(path, files)
    return files


def _parts(path: Path) -> list[Path]:
    """Those of several; the path itself where it is a name with a colon, which is what none of them is there for."""
    parts = [Path(ESCAPED.sub(r"\1", part)) for part in PARTS.findall(str(path))]
    return [path] if _is_there(path) or not any(map(_is_there, parts)) else parts


def _is_there(path: Path) -> bool:
    # Path.exists raises for the names of many files, which are too long for that of one
    return os.path.exists(path) or bool(PATTERN.search(str(path)) and _matches(path))  # noqa: PTH110


def _matched_by(path: Path) -> list[Path]:
    if os.path.exists(path) or not PATTERN.search(str(path)):  # noqa: PTH110
        return [path]
    if not (files := _matches(path)):
        raise InputError(f"{path} matches no file; give files, or a pattern that matches some")
    return files


def _matches(pattern: Path) -> list[Path]:
    found = glob.glob(str(pattern), recursive=True)  # noqa: PTH207  # Path.glob takes no absolute pattern
    return sorted(file for file in map(Path, found) if os.path.isfile(file))  # noqa: PTH113  # as above


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
