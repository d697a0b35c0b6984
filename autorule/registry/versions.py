"""Folders of versions: v0001, v0002 and so on. A number is given once, whatever becomes of the folder."""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from autorule.errors import InputError

MOST_NUMBER = 999_999_999
VERSION = re.compile(r"v[0-9]{4,9}")


def version_folders(folder: Path) -> list[str]:
    """Oldest first; none where there is no folder."""
    if not folder.is_dir():
        return []
    return sorted((entry.name for entry in folder.iterdir() if VERSION.fullmatch(entry.name)), key=_number)


def take_version(folder: Path, told: Iterable[str]) -> str:
    """The folder of the next version, made by this process and no other. `told`: versions of the history, whose
    numbers are not given again, even where their folders were deleted. Raises InputError where all are given."""
    known = max(map(_number, told), default=0)
    while True:
        last = max([known, *map(_number, version_folders(folder))])
        if last >= MOST_NUMBER:
            raise InputError(
                f"{folder} has v{last:04d}, the last number that there is: publish under another name, or remove that"
            )
        version = f"v{last + 1:04d}"
        try:
            (folder / version).mkdir()
        except FileExistsError:
            continue  # another machine, which the lock does not reach, was quicker
        return version


def sha256_of(path: Path) -> str:
    """Raises InputError when the file can't be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}; restore it, or its permissions") from error


def _number(version: str) -> int:
    return int(version[1:])
