"""Where runs are kept: folders of this machine, or any storage that fsspec knows, such as s3://bucket/outputs.

A file is there whole or not at all. On a local disk it is written under a temporary name and renamed. Object stores
have no rename: there a file is made in a local temporary folder and sent in one go. Either way each file has one
writer.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any, cast

from pydantic import BeforeValidator, InstanceOf, PlainSerializer, WithJsonSchema

from autorule.errors import MissingExtraError


def to_folder(name: "str | Path | os.PathLike[str]") -> Path:
    """The folder of a path, or of a URL such as s3://bucket/outputs; the latter has the methods of a Path (UPath).

    Raises MissingExtraError when the package of a URL's protocol is not installed, ValueError for an unknown protocol,
    for a URL that was made into a path on its way, and for one with a password, which manifests and logs would show.
    """
    if not isinstance(name, str):
        if not isinstance(name, Path) and hasattr(name, "exists"):
            return cast(Path, name)  # a URL's already
        name = os.fspath(name)
    if re.match(r"[a-z][a-z0-9+]+:/[^/]", name):
        raise ValueError(f"{name!r} has lost a slash: write {name.replace(':/', '://', 1)!r}")
    if "://" not in name:
        return Path(name)
    protocol, _, rest = name.partition("://")
    if "@" in rest.split("/", 1)[0]:
        raise ValueError(f"{protocol}:// address with a user name or password; give keys in environment variables")
    try:
        from fsspec import get_filesystem_class
        from upath import UPath

        get_filesystem_class(protocol)
    except ImportError as error:
        raise MissingExtraError(error.name or f"of {protocol}://", "remote", f"{protocol}:// storage") from error
    folder: Any = UPath(name.rstrip("/"))
    return cast(Path, folder)


Folder = Annotated[
    InstanceOf[Path] | Any,
    BeforeValidator(to_folder),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "format": "path"}),
]
"""A setting that names a folder or a URL."""


def is_local(path: Path) -> bool:
    """Whether the path is on a file system of this machine, with locks, renames and appending."""
    return isinstance(path, Path)


@contextmanager
def writing(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """A file to write `path` with, text (UTF-8) or bytes; nothing is at `path` when the block raises."""
    local = is_local(path)
    if local:
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    else:
        handle, name = tempfile.mkstemp(prefix="autorule-")
        os.close(handle)
        temporary = Path(name)
    try:
        with temporary.open(mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
        if local:
            temporary.replace(path)
        else:
            path.fs.put_file(str(temporary), path.path)  # type: ignore[attr-defined]
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a whole file or none of it."""
    with writing(path) as file:
        file.write(text)


def append_text(path: Path, text: str) -> None:
    """Adds to a file; in an object store, which can't, the file is written anew."""
    if is_local(path):
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    elif text or not path.exists():
        write_text(path, (path.read_text(encoding="utf-8") if path.exists() else "") + text)


def readable(path: Path) -> Any:
    """What pyarrow reads `path` from: a local name, or an open file of an object store."""
    return path if is_local(path) else path.open("rb")


def remove_folder(path: Path) -> None:
    """Removes a folder with all that is in it; an object store has no empty ones."""
    if is_local(path):
        shutil.rmtree(path)
    elif path.exists():
        path.fs.rm(path.path, recursive=True)  # type: ignore[attr-defined]
