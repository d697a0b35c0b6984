"""UTF-16 and UTF-32, known by their marks, or by bytes that no text in one byte a letter has."""

import codecs

SAMPLE = 4096
MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
"""Byte order mark -> encoding."""
LOW = bytes(range(9))
"""Bytes that no text has but in wide characters, where the first half of every Latin and Cyrillic letter is one."""
MANY_LOW, SOME_LOW = 1 / 8, 1 / 200
"""Of all bytes; some are enough where many others are beyond ASCII, as in Chinese: its spaces and ends of lines."""
MANY_HIGH = 1 / 5
KANA = 0x30
"""The first half of the letters of Japanese."""
LAST_PLANE = 0x10
"""Of Unicode: its number is the third byte of a letter in four."""


def marked_encoding(content: bytes) -> str | None:
    """UTF-16 or UTF-32 by the mark at the beginning."""
    return next((encoding for mark, encoding in MARKS.items() if content.startswith(mark)), None)


def wide_encoding(content: bytes) -> str | None:
    """UTF-16 or UTF-32 by where such bytes stand at the beginning of a text without a mark."""
    sample = content[: min(SAMPLE, len(content) // 2 * 2)]
    quarters = [sample[i : len(sample) // 4 * 4 : 4] for i in range(4)]
    found = None
    if all(quarters) and not any(quarters[3]) and max(quarters[2]) <= LAST_PLANE:
        found = "UTF-32LE"
    elif all(quarters) and not any(quarters[0]) and max(quarters[1]) <= LAST_PLANE:
        found = "UTF-32BE"
    elif _has_wide_letters(sample):
        found = max("UTF-16LE", "UTF-16BE", key=lambda encoding: _n_plain(sample, encoding))
        if _n_plain(sample, found) * 2 < sample.count(0):
            return None
    return found if found and _n_plain(sample, found) else None


def _has_wide_letters(sample: bytes) -> bool:
    n_low, n_high = len(sample) - len(sample.translate(None, LOW)), sum(byte > 127 for byte in sample)
    n_kana = max(sample[0::2].count(KANA), sample[1::2].count(KANA))
    in_asia = (n_high >= len(sample) * MANY_HIGH and _is_no_utf8(sample)) or n_kana >= len(sample) * MANY_LOW
    return 0 in sample and n_low >= len(sample) * (SOME_LOW if in_asia else MANY_LOW)


def _is_no_utf8(sample: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return True
    return False


def _n_plain(sample: bytes, encoding: str) -> int:
    """How many characters are those that every text has: of Latin, or the marks of Chinese and Japanese; 0 where some
    can be in none."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(sample)
    except UnicodeDecodeError:
        return 0
    if any(char < " " and char not in "\t\r\n\f" for char in text):
        return 0
    return sum(char <= "\xff" or "\u3000" <= char <= "\u303f" for char in text)
