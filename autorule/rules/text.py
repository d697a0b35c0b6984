"""A rule as text: cleaned of what models write around it, and normalised to tell whether two are the same."""

import re
import unicodedata
from functools import cache

from autorule.backends.answer_text import list_item
from autorule.records import content_id

WRAPPERS = (("**", "**"), ('"', '"'), ("“", "”"), ("`", "`"), ("*", "*"), ("_", "_"))
ASCII_WORD = re.compile(r"[a-z0-9]+[+#]*|[<>]=?(?=\s?\d)")


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
    """The words of a rule in lower case: two rules with the same words are one."""
    return " ".join(words(text))


def new_rule_id(text: str) -> str:
    """The id of a rule with this text: a hash of its words."""
    return content_id("rule", normalise_rule(text))


def former_rule_id(text: str) -> str:
    """The id that this text had when the signs before numbers were no words."""
    return new_rule_id(re.sub("[<>]=?|[≤≥≠]", " ", text))


def words(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation. C, C++ and C# are three words; vowel signs and other
    marks belong to their letters; the sign before a number (< 3, ≥ 3) is a word."""
    text = text.casefold()
    if text.isascii():
        return ASCII_WORD.findall(text)
    return _any_word().findall(unicodedata.normalize("NFC", text))


@cache
def _any_word() -> re.Pattern[str]:
    # `\w` leaves out combining marks, without which words of Hindi or Thai fall apart and look alike.
    marks = "".join(chr(code) for code in range(0x300, 0x1E944) if unicodedata.category(chr(code)).startswith("M"))
    return re.compile(rf"[^\W_](?:[^\W_]|[{marks}])*[+#]*|(?:[<>]=?|[≤≥≠])(?=\s?\d)")
