"""Encodings of one and two bytes a letter.

Windows-1252 has single letters beyond ASCII among letters of ASCII. Of the others it is only told which could be tried:
those in which the bytes are frequent characters of a language.
"""

import codecs
import re
from collections.abc import Callable

SAMPLE = 4096
WINDOWS = "CP1252"
UNKNOWN = "ITS_ENCODING"
BORDER = re.compile(rb"[\n\t ,;:\"']")
"""Bytes that stand for themselves in every encoding that is looked for: none of them is half of a character."""
HIGH = re.compile(rb"[\x80-\xff]+")
WINDOWS_LETTERS = re.compile(rb"[\xc0-\xd6\xd8-\xf6\xf8-\xff]{1,2}")
WINDOWS_MARKS = re.compile(rb"[\x80\x85\x8a\x8c\x8e\x91-\x97\x9a\x9c\x9e\xa0-\xbf\xdf]")
MOSTLY = 0.75
MOST_TRIED = 3


def narrow_encodings(content: bytes, at: int) -> tuple[str, ...]:
    """The encodings that the bytes about `at`, the first that is no UTF-8, may be in, the likeliest first, by the names
    that iconv has. Windows-1252 stands alone: where the bytes look like it they look like nothing else."""
    borders = [match.start() for match in BORDER.finditer(content, max(0, at - SAMPLE), at)]
    sample = content[borders[-1] + 1 if borders else max(0, at - SAMPLE) :][:SAMPLE]
    if _is_windows(sample):
        return (WINDOWS,)
    shares = {encoding: _share(sample, encoding, is_frequent) for encoding, is_frequent in FREQUENT.items()}
    likely = [encoding for encoding, share in shares.items() if share >= MOSTLY]
    return tuple(sorted(likely, key=lambda encoding: -shares[encoding])[:MOST_TRIED])


def _is_windows(sample: bytes) -> bool:
    """Whether nearly all bytes beyond ASCII are single letters at a letter of ASCII (two at most), or single marks."""
    runs = list(HIGH.finditer(sample))
    return sum(_is_windows_run(sample, run) for run in runs) >= MOSTLY * len(runs)


def _is_windows_run(sample: bytes, run: re.Match[bytes]) -> bool:
    if WINDOWS_MARKS.fullmatch(run.group()):
        return True
    beside = sample[max(0, run.start() - 1) : run.start()] + sample[run.end() : run.end() + 1]
    return bool(WINDOWS_LETTERS.fullmatch(run.group())) and (len(run.group()) == 1 or any(map(_is_letter, beside)))


def _is_letter(byte: int) -> bool:
    return chr(byte).isascii() and chr(byte).isalpha()


def _share(sample: bytes, encoding: str, is_frequent: Callable[[str], bool]) -> float:
    """How many of the characters beyond ASCII are frequent ones; 0 where the bytes can't be read."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(sample)
    except UnicodeDecodeError:
        return 0.0
    beyond = [char for char in text if not char.isascii()]
    return sum(map(is_frequent, beyond)) / len(beyond) if beyond else 0.0


def _in_rows(encoding: str, first: int, last: int) -> Callable[[str], bool]:
    """Whether a character's first byte is among those of the frequent ones."""

    def is_frequent(char: str) -> bool:
        encoded = char.encode(encoding, "ignore")
        return len(encoded) == 2 and first <= encoded[0] <= last

    return is_frequent


def _is_small_cyrillic(char: str) -> bool:
    return "а" <= char <= "ё"  # in Cyrillic


def _is_japanese(char: str) -> bool:
    return "\u3000" <= char <= "\u30ff" or _in_rows("shift_jis", 0x88, 0x97)(char)


def _is_chinese(char: str) -> bool:
    return "\u3000" <= char <= "\u303f" or "\uff00" <= char <= "\uff5e" or _in_rows("gb2312", 0xB0, 0xD7)(char)


FREQUENT: dict[str, Callable[[str], bool]] = {
    "GBK": _is_chinese,
    "SHIFT_JIS": _is_japanese,
    "BIG5": _in_rows("big5", 0xA1, 0xC6),
    "EUC-KR": _in_rows("euc_kr", 0xB0, 0xC8),
    "EUC-JP": _is_japanese,
    "CP1251": _is_small_cyrillic,
    "KOI8-R": _is_small_cyrillic,
}
"""Encoding -> whether a character is one of those that most of a text consists of."""
