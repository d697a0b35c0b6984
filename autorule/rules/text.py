"""A rule as text: cleaned of what models write around it, and normalised to tell whether two are the same."""

import re
import unicodedata
from functools import cache

from autorule.backends.answer_text import list_item
from autorule.records import content_id

WRAPPERS = (("**", "**"), ('"', '"'), ("“", "”"), ("`", "`"), ("*", "*"), ("_", "_"))
UNSEEN_LETTERS = "\u115f\u1160\u3164\uffa0"
"""Fillers of Hangul: letters by their category, blank on paper."""
UNSEEN_SYMBOLS = "\u2800\ufffc\U0001d159"
"""Likewise: of Braille, of objects, of music."""
ACRONYM = re.compile(r"(?<![\w'’])(US|IT|WHO)(?![\w+#'’])")
"""Words in small letters are others."""
MARKS_IN_A_ROW = 30
"""As many as any letter has (Unicode's Stream-Safe Text Format): to order more takes the square of their number."""
FORMER_SIGNS = ("", r"|(?:[<>]=?|[≤≥≠])(?=\s?\d)")
"""Which signs were words when ids of earlier rule sets were made."""
AS_IN_ASCII = str.maketrans("−－％＝＋＜＞＄～", "--%=+<>$~")
_QUOTES = "\"'`(\\[{“‘「", "\"'`)\\]}”’」"
SIGNS = "".join(
    "|" + pattern
    for pattern in (
        r"(?:[<>]=?|[≤≥≠~])(?=\s?[-+]?\d)",  # < 3, ≥ 3, ~100
        r"<?(?:--?|==?)>|<--?",  # arrows
        r"!=+|=+",
        r"(?<![^\W_])(?<![)\]}%.>-])-(?=[.$€£¥]?\d)",  # -5, but neither 3-5 nor a dash
        r"(?<![\w+#])\+|[%‰$]",
        r"(?<=\d)[.,:/^*](?=\d)",  # 1.5 is not 1-5, nor 1/5
        rf"(?<=[{_QUOTES[0]}])[^\w\s{''.join(_QUOTES)}]{{1,3}}(?=[{_QUOTES[1]}])",  # (-), "#"
        r"(?<!\w)[:;]-?[()](?!\w)",
    )
)


def clean_rule(text: str) -> str:
    """One line, without list marks, quotes or emphasis around it, with a full stop. Halves of surrogate pairs, which
    JSON escapes can bring, become question marks: no file and no hash takes them."""
    text = " ".join(text.encode("utf-8", "replace").decode().split())
    text = (list_item(text) or text).strip()
    for opening, closing in WRAPPERS:
        inner = text[len(opening) : -len(closing)]
        if len(text) > 2 and text.startswith(opening) and text.endswith(closing) and closing not in inner:
            text = inner.strip()
    return text if not text or text[-1] in ".!?。！？" else text + "."


def normalise_rule(text: str) -> str:
    """The words of a rule: two rules with the same words are one."""
    return " ".join(words(text))


def new_rule_id(text: str) -> str:
    """The id of a rule with this text: a hash of its words."""
    return content_id("rule", normalise_rule(text))


def former_rule_ids(text: str) -> set[str]:
    """The ids that this text had when fewer signs were words, or none."""
    return {content_id("rule", " ".join(_found(text, signs))) for signs in FORMER_SIGNS}


def words(text: str) -> list[str]:
    """The words of a text in lower case (but US, IT and WHO), without punctuation. C, C++ and C# are three words; vowel
    signs and other marks belong to their letters; emoji, symbols and signs that mean something (< 3, -5, 5%, (+), ->)
    are words."""
    if text.isupper() or not ACRONYM.search(text):
        return _found(text, SIGNS)
    parts = ACRONYM.split(text)
    return [word for n, part in enumerate(parts) for word in ([part] if n % 2 else _found(part, SIGNS))]


def is_sign(word: str) -> bool:
    """Whether a word is one of symbols. A mark that belongs to a letter is none."""
    return not (word[0].isalnum() or unicodedata.category(word[0]).startswith("M"))


def _found(text: str, signs: str) -> list[str]:
    text = text.casefold()
    if signs == SIGNS:
        text = text.translate(AS_IN_ASCII)
    if not text.isascii():
        text = unicodedata.normalize("NFC", _too_many_marks().sub(r"\1", text))
    return _words(signs, text.isascii()).findall(text)


@cache
def _words(signs: str, only_ascii: bool) -> re.Pattern[str]:
    grade = r"(?<![\w-])[a-z]-(?![\w>-])|" if signs == SIGNS else ""  # A-, as C++ and A+
    if only_ascii:
        return re.compile(rf"{grade}[a-z0-9]+[+#]*{signs}")
    # `\w` leaves out combining marks, without which words of Hindi or Thai fall apart and look alike.
    letter, symbols = (
        rf"[^\W_{UNSEEN_LETTERS}]",
        rf"|(?![{UNSEEN_SYMBOLS}])[{_chars('Sm', 'So', 'Sc')}]" if signs == SIGNS else "",
    )
    return re.compile(rf"{grade}{letter}(?:{letter}|[{_chars('M')}])*[+#]*{signs}{symbols}")


@cache
def _too_many_marks() -> re.Pattern[str]:
    return re.compile(rf"([{_chars('M')}]{{{MARKS_IN_A_ROW}}})[{_chars('M')}]++")


@cache
def _chars(*categories: str) -> str:
    """All characters beyond ASCII of these categories, for a class of a pattern: as ranges, without which those beyond
    U+FFFF would be tried one by one."""
    codes = [code for code in range(0xA1, 0x20000) if unicodedata.category(chr(code)).startswith(categories)]
    firsts = [code for code, before in zip(codes, [0, *codes], strict=False) if code != before + 1]
    lasts = [code for code, after in zip(codes, [*codes[1:], 0], strict=True) if code != after - 1]
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in zip(firsts, lasts, strict=True))
