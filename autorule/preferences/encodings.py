"""The bytes of a text file, plain or gzipped, and what they are when they are no UTF-8 text."""

import gzip
import shlex
import zlib
from pathlib import Path
from typing import Any

from autorule.errors import InputError, in_words
from autorule.text_encodings.narrow import UNKNOWN, WINDOWS, narrow_encodings
from autorule.text_encodings.wide import SAMPLE, marked_encoding, wide_encoding

GZIP = b"\x1f\x8b"
BINARY = {
    GZIP: "gzip data: add .gz to its name",
    b"PAR1": "Parquet data: name it .parquet",
    b"PK\x03\x04": "a zip archive or a spreadsheet: unpack it, or save it as CSV",
    b"\x28\xb5\x2f\xfd": "zstd data: unpack it with zstd -d",
    b"BZh": "bzip2 data: unpack it with bunzip2",
    b"\xfd7zXZ": "xz data: unpack it with unxz",
}
"""Beginning of a file -> what it holds, and what to do."""


def open_binary(path: Path) -> Any:
    """A buffered file of bytes, unpacked."""
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")


def check_text(path: Path) -> None:
    """Raises InputError for a file that is no text, or text of another encoding from its beginning on."""
    with open_binary(path) as file:
        sample = file.read1(SAMPLE)  # no more than is there before a fault
    for beginning, what in BINARY.items():
        if sample.startswith(beginning):
            raise InputError(f"{path} holds {what}")
    if (encoding := _wide_encoding(sample)) is not None:
        raise InputError(f"{path} seems to be {encoding}, not UTF-8; {how_to_save(encoding, path)}")


def _wide_encoding(sample: bytes) -> str | None:
    """UTF-16 or UTF-32, where the beginning of a file shows one: a row may begin with what looks like a mark."""
    marked = marked_encoding(sample)
    return marked if marked and 0 in sample[4:] else wide_encoding(sample)


def not_utf8(data: bytes) -> str | None:
    """Which byte of a text is no UTF-8, what the text looks like, and what to do; None for UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        tried = narrow_encodings(data, error.start)
        looks = tried == (WINDOWS,)
        told = ", it looks like Windows-1252 or Latin-1" if looks else ""
        fix = how_to_save(WINDOWS if looks else UNKNOWN)
        if not looks:
            fix += f"; for {UNKNOWN} try {' or '.join(tried)}" if tried else "; which encoding it is in is not known"
        return f"not UTF-8 text (byte 0x{data[error.start]:02x} at {error.start + 1}){told}; {fix}"
    return None


def not_utf8_text(text: str) -> str | None:
    """The same of a text that was read with `surrogateescape`; None also where it has surrogates of other origin."""
    try:
        return not_utf8(text.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        return None


def how_to_save(encoding: str, path: Path | None = None) -> str:
    """How a file becomes UTF-8; without a path that of a row, whose file is named elsewhere."""
    name, convert = "FILE" if path is None else shlex.quote(str(path)), f"iconv -f {encoding} -t UTF-8"
    if path is not None and path.suffix.lower() == ".gz":
        return f"save it as UTF-8: gunzip -c {name} | {convert} > NEW_FILE"
    return f"save {'the file' if path is None else 'it'} as UTF-8: {convert} {name} > NEW_FILE"


def why_unreadable(error: Exception, path: Path) -> str:
    """What is wrong with a file that can't be read on, and what to do."""
    if path.suffix.lower() != ".gz" or not isinstance(error, (gzip.BadGzipFile, EOFError, zlib.error)):
        return in_words(error)
    with path.open("rb") as file:
        if file.read(len(GZIP)) != GZIP:
            return "it is no gzip file; take .gz from its name"
    if isinstance(error, gzip.BadGzipFile) and "Not a gzipped file" in str(error):
        return "what follows in the file is no gzip data; pack it anew"
    if isinstance(error, EOFError):
        return "the gzip data breaks off; copy or download the file again"
    return f"the gzip data is damaged ({in_words(error)}); copy or download the file again"
