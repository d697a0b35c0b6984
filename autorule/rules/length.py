"""How long a text is by what it says: one measure for all scripts, in letters and words of English.

A Chinese character says about what three letters of English do, a syllable of Japanese or Korean what two do; Thai
and its neighbours write words without spaces. Limits that were made for English hold for all of them in this measure.
"""

import re
from typing import NamedTuple


class Script(NamedTuple):
    letters: re.Pattern[str]
    """Its letters, without marks that stand above or below others."""
    chars: int
    """Letters of English that one of them is worth. Never less than 1: a text is at least as long as its characters."""
    words: float
    """Words of English that one of them is worth."""


SCRIPTS = (
    Script(re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"), 3, 0.8),  # Chinese, kanji
    Script(re.compile("[\u3041-\u3096\u30a1-\u30fa\u30fc\u31f0-\u31ff]"), 2, 0.8),  # kana
    Script(re.compile("[\uac00-\ud7a3]"), 2, 0.8),  # Korean: a word is two or three of them, its particles included
    Script(re.compile("[\u0e01-\u0e30\u0e32\u0e33\u0e40-\u0e45]"), 1, 0.4),  # Thai
    Script(
        re.compile("[\u0e81-\u0eb0\u0eb2\u0eb3\u0ec0-\u0ec4\u1000-\u102a\u1780-\u17b3]"), 1, 0.4
    ),  # Lao, Burmese, Khmer
)
"""Scripts that are shorter than English, or that write no spaces between words: five characters of Chinese, and ten
letters of Thai, count as four words."""
_WORD = re.compile(r"[^\W_]")
_UNSPACED = re.compile("|".join(script.letters.pattern for script in SCRIPTS))


def n_chars(text: str) -> int:
    """Characters, as many as a text in English would have that says as much."""
    return len(text) + sum((script.chars - 1) * len(script.letters.findall(text)) for script in SCRIPTS)


def n_words(text: str) -> int:
    """Words, as many as a text in English would have that says as much."""
    unspaced = sum(script.words * len(script.letters.findall(text)) for script in SCRIPTS)
    return int(unspaced + 1e-9) + sum(map(_n_spaced, text.split()))


def _n_spaced(part: str) -> int:
    """One for what stands between spaces; of a part in these scripts, the words of others in it."""
    if not _UNSPACED.search(part):
        return 1
    return sum(_WORD.search(piece) is not None for piece in _UNSPACED.sub(" ", part).split())


def words_of_char(char: str) -> float | None:
    """How many words one character is worth where a script writes no words apart; None for any other."""
    return next((script.words for script in SCRIPTS if script.letters.fullmatch(char)), None)
