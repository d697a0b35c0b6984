"""Files: in folders of this machine, or any storage that fsspec knows, such as s3://bucket/outputs.

A file is there whole or not at all. On a local disk it is written under a temporary name and renamed. Object stores
have no rename: there a file is made in a local temporary folder and sent in one go. Either way each file has one
writer.

Text that people write (rule sets, settings, prompts, lists of rules) is UTF-8, with or without a mark at its beginning;
of another encoding the error says which it seems to be.
"""

import json
import math
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Annotated, Any, cast

from pydantic import BeforeValidator, InstanceOf, PlainSerializer, WithJsonSchema

from autorule.code_checks import MOST_DIGITS
from autorule.errors import DISK_FIXES, DiskError, MissingExtraError
from autorule.text_encodings.narrow import UNKNOWN, WINDOWS, narrow_encodings
from autorule.text_encodings.wide import marked_encoding, wide_encoding


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
def disk_faults_told(path: Path) -> Iterator[None]:
    """Faults of disks and folders in the block as a DiskError, of `path` where they name no file themselves."""
    try:
        yield
    except DiskError:
        raise
    except OSError as error:
        if error.errno not in DISK_FIXES:  # others, such as of a network, may come from what is written
            raise
        raise DiskError.of(error, path if _is_told_of(path, error.filename) else None) from error


def _is_told_of(path: Path, named: Any) -> bool:
    """Whether a fault is one of `path`: when it names no file, or that under which `path` is written first."""
    return named is None or Path(str(named)).name.startswith(f".{path.name}.")


@contextmanager
def writing(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """A file to write `path` with, text (UTF-8) or bytes; nothing is at `path` when the block raises. A link at `path`
    is replaced, and what it leads to left alone. Raises DiskError."""
    with disk_faults_told(path):
        temporary = _beside(path) if is_local(path) else _elsewhere()
        try:
            with temporary.open(mode.replace("w", "x"), encoding=None if "b" in mode else "utf-8") as file:
                yield file
            if is_local(path):
                temporary.replace(path)
            else:
                path.fs.put_file(str(temporary), path.path)  # type: ignore[attr-defined]
        finally:
            with suppress(OSError):
                temporary.unlink()


def _beside(path: Path) -> Path:
    """A name in the folder of `path` that nothing has: what has it is left by a process that ended."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    return temporary


def _elsewhere() -> Path:
    handle, name = tempfile.mkstemp(prefix="autorule-")
    os.close(handle)
    Path(name).unlink()
    return Path(name)


def write_text(path: Path, text: str) -> None:
    """Writes a whole file or none of it. Raises DiskError."""
    with writing(path) as file:
        file.write(text)


def append_text(path: Path, text: str) -> None:
    """Adds to a file; in an object store, which can't, the file is written anew. Raises DiskError, also for a link."""
    if is_local(path):
        with disk_faults_told(path), open(path, "a", encoding="utf-8", opener=open_no_link) as file:
            file.write(text)
    elif text or not path.exists():
        write_text(path, (path.read_text(encoding="utf-8") if path.exists() else "") + text)


def open_no_link(path: str, flags: int) -> int:
    """An `opener` that fails at a link instead of opening what it leads to."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def readable(path: Path) -> Any:
    """What pyarrow reads `path` from: a local name, or an open file of an object store."""
    return path if is_local(path) else path.open("rb")


def remove_folder(path: Path) -> None:
    """Removes a folder with all that is in it, if it is there; an object store has no empty ones. Raises DiskError."""
    if is_local(path):
        with disk_faults_told(path), suppress(FileNotFoundError):
            shutil.rmtree(path)
    elif path.exists():
        path.fs.rm(path.path, recursive=True)  # type: ignore[attr-defined]


def read_text(path: Path) -> str:
    """The text of a file, lines ended by \\n. Raises OSError, and UnicodeError with the line, what the file looks like
    and the fix."""
    return decoded(path.read_bytes())


def decoded(content: bytes) -> str:
    """The text that the bytes of a file are; raises as read_text does."""
    wide = marked_encoding(content) or wide_encoding(content)
    if wide is not None:
        raise UnicodeError(f"it seems to be {wide}, not UTF-8; save it as UTF-8 (iconv -f {wide} -t UTF-8)")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnicodeError(_not_utf8(content, error)) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_json(text: str) -> Any:
    """JSON as its standard has it. Raises ValueError, also for NaN and Infinity and for numbers that become infinite
    or have thousands of digits, for a key that an object has twice, and for what is nested too deep."""
    try:
        return json.loads(
            text, parse_constant=_no_number, parse_float=_finite, parse_int=_whole, object_pairs_hook=distinct
        )
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


class RepeatedKeyError(ValueError):
    """An object of JSON names a key twice: which value counts is not known."""


def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these keys and values. Raises RepeatedKeyError."""
    values = dict(pairs)
    if len(values) < len(pairs):
        twice = next(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
        raise RepeatedKeyError(f"an object has the key {twice!a:.60} twice; leave out one")
    return values


def _no_number(constant: str) -> None:
    raise ValueError(f"it holds {constant}, which is no number of JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"it holds {digits:.40}, which is too large a number")
    return number


def _whole(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"it holds a number of {len(digits):,} digits, which is too large")
    return int(digits)


def _not_utf8(content: bytes, error: UnicodeDecodeError) -> str:
    start = error.start + len(content) - len(error.object)  # a mark at the beginning is gone from the object
    line = content.count(b"\n", 0, start) + 1
    tried = narrow_encodings(content, start)
    if tried == (WINDOWS,):
        looks, convert = ", and the file seems to be Windows-1252", f"iconv -f {WINDOWS} -t UTF-8"
    elif tried:
        looks, convert = "", f"iconv -f {UNKNOWN} -t UTF-8; for {UNKNOWN} try {' or '.join(tried)}"
    else:
        looks, convert = ", and what encoding the file is in is not known", f"iconv -f {UNKNOWN} -t UTF-8"
    return f"line {line} is not UTF-8 text (byte 0x{content[start]:02x}){looks}; save it as UTF-8 ({convert})"
