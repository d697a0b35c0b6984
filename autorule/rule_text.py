"""A rule as text: cleaned of what models write around it, and normalised to tell whether two are the same."""

import re

from autorule.answer_text import list_item
from autorule.records import content_id

WRAPPERS = (("**", "**"), ('"', '"'), ("“", "”"), ("`", "`"), ("*", "*"), ("_", "_"))
LETTER_OR_DIGIT = re.compile(r"[^\W_]+")


def clean_rule(text: str) -> str:
    """One line, without list marks, quotes or emphasis around it, with a full stop."""
    text = " ".join(text.split())
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


def words(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation."""
    return LETTER_OR_DIGIT.findall(text.casefold())


def n_words(text: str) -> int:
    """Words; two characters count as one where a script writes none between spaces (Chinese, Japanese, Korean)."""
    return len(text.split()) + sum(char >= "\u2e80" for char in text) // 2
