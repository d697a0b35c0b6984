"""What keeps a text from being a good rule: a code for each fault.

A candidate with a fault is kept on disk with its codes and set aside. Two codes are no reason for that: `compound`,
since synthesis splits compound rules, and `list_cut`, which tells of its list. The lints go by wording alone: they miss
some faults, and a model never has the last word on them.
"""

import re
from collections.abc import Iterable, Iterator
from math import ceil

from autorule.rules.length import n_chars, n_words, words_of_char
from autorule.rules.text import normalise_rule, words

MIN_RULE_WORDS = 4
SHARED_PHRASE_WORDS = 6
"""So many words in a row, the same in rule and prompt, are a quotation; and as many characters as say so much."""

MEANINGS = {
    "names_side": "speaks of response A or of the preferred one",
    "prompt_particulars": "refers to particulars of one prompt: its names, numbers or phrases",
    "compound": "asks for several things at once",
    "not_checkable": "can't be decided from a prompt and one response alone",
    "commands_verifier": "tells the verifier what to answer",
    "too_long": "is longer than max_rule_chars (in letters of English: a Chinese character counts as three)",
    "too_short": f"has fewer than {MIN_RULE_WORDS} words",
    "worked_example": "stands in the prompt that asked for it",
    "several_sentences": "is more than one sentence",
    "repetitive": "says the same words twice over",
    "hidden_characters": "holds characters that steer a terminal or turn text around, and are not seen: write it anew",
    "list_cut": "is the last rule of a list that ran on to its bound or was cut off: more may have been meant",
    "over_max_rules": "comes after the max_rules first ones of its chain",
}
KEPT_CODES = frozenset({"compound", "list_cut"})

_SIDE = re.compile(  # letters of sides are capitals: "answer a question" names none
    r"\b(?i:response|assistant|answer|output|completion|model)s?\s+[AB]\b|\b(?i:response|assistant)\s+[12]\b"
    r"|\b(?i:chosen|rejected|(?:dis)?preferred|other|better|worse)\s+(?i:response|answer|assistant|completion)\b"
)
_SEVERAL_SENTENCES = re.compile(r"(?<!e\.g)(?<!i\.e)(?<!etc)(?<!vs)[.!?]\s+[A-Z]")
_REPEATED = re.compile(r"\b(\w+(?:\W+\w+){1,7})\W+\1\b|\b(\w{3,})\W+(?:and|or)\W+\2\b", re.IGNORECASE)
_HIDDEN = re.compile(  # not the joiners and marks that Persian, Hindi and Hebrew are written with
    "[\x00-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]"
)
_THIS_REQUEST = re.compile(
    r"\b(?:this|these)\s+(?:\w+\s+)?(?:prompt|question|request|task|case|instance|conversation|dialogue)s?\b",
    re.IGNORECASE,
)
_VERB = (
    r"(?:avoid|include|provide|use|ensure|be|give|explain|state|keep|contain|offer|present|address|follow|mention|show"
    r"|cite|list|describe|refrain|remain|make|add|acknowledge|answer|write|begin|start|end|respond|highlight|focus)s?"
)
_COMPOUND = re.compile(
    rf"\b(?:and|but|while|or)\s+(?:it\s+)?(?:also\b|should\b|must\b|not\b|never\b|(?:\w+ly\s+)?{_VERB}\b)"
    r"|\bas well as\b|\bin addition(?: to)?\b|;\s*\w+|\bwhile (?:also )?\w+ing\b"
    r"|\band (?:avoid|includ|provid|us|ensur|giv|keep)\w*ing\b",
    re.IGNORECASE,
)
_COMPARES = re.compile(
    r"\bthan (?:the |an?y? )?(?:other|alternative|competing|rival|second|first)\b|\bcompar(?:ed|ison) (?:to|with)\b"
    r"|\b(?:both|two|either) (?:responses|answers)\b",
    re.IGNORECASE,
)
_BEYOND_THE_TEXT = re.compile(
    r"\busers? (?:will|would|may|might) (?:like|prefer|enjoy|love|be (?:happy|pleased|satisfied))\b"
    r"|\b(?:author|writer|model|assistant) (?:intends?|thinks?|believes?|knows?)\b",
    re.IGNORECASE,
)
_ONLY_PRAISE = re.compile(
    r"\W*(?:(?:the|an?|every|response|answer|reply|it|should|must|be|of|very|and|overall|in|quality|as|possible|"
    r"good|better|best|great|excellent|high|nice|right|ideal|perfect|superior|preferable|satisfactory)\W+)+",
    re.IGNORECASE,
)
_COMMAND = re.compile(
    r"\b(?:answer|say|output|reply|respond|return|print|select|choose)s?\s+(?:with\s+|only\s+)*[\"'“]?(?:yes|no)\b"
    r"|\b(?:ignore|disregard|forget)\s+(?:all\s+|any\s+|the\s+)*(?:previous|prior|above|earlier|other|following)\b"
    r"|\balways (?:satisf|count|pass|true)|\bregardless of (?:the |its )?(?:response|rule|content)\b"
    r"|<\|\w+|\bverdicts?\b|\[/?INST\]|\bsystem prompt\b",
    re.IGNORECASE,
)
_QUOTED = re.compile(
    r"[\"“”«»„]([^\"“”«»„]{3,}?)[\"“”«»]|(?<!\w)'([^']{3,}?)'(?!\w)"
    r"|[「『《“]([\u0e00-\u0eff\u3040-\u9fff\uac00-\ud7a3]{2,}?)[」』》”]"
)
_NAME = re.compile(r"(?<=[^.!?:\s] )[A-Z][\w’'-]*\w|\b\d[\d.,:/]*\d\b")
_COMMON_NAME = re.compile(
    r"i|english|french|german|spanish|chinese|japanese|korean|latin|python|java|javascript|html|css|sql|json|xml|yaml|csv"
    r"|markdown|latex|url|api|ascii|unicode|utf-8",
    re.IGNORECASE,
)


def lint_rule(text: str, prompt_text: str, max_chars: int, pair_prompt: str = "") -> tuple[str, ...]:
    """Codes of what is wrong with a rule, in the order of MEANINGS; empty for a good one.

    `prompt_text` is the prompt that asked for the rule, `pair_prompt` the conversation of the pair that the rule was
    mined from, where that is known.
    """
    too_long = n_chars(text) > max_chars
    particulars = pair_prompt and not too_long and _is_particular(text, pair_prompt)  # long ones take long to look up
    faults = {
        "names_side": _SIDE.search(text),
        "prompt_particulars": _THIS_REQUEST.search(text) or particulars,
        "compound": _COMPOUND.search(text),
        "not_checkable": _is_not_checkable(text),
        "commands_verifier": _COMMAND.search(text),
        "too_long": too_long,
        "too_short": n_words(text) < MIN_RULE_WORDS,
        "worked_example": normalise_rule(text) in normalise_rule(prompt_text),
        "several_sentences": _SEVERAL_SENTENCES.search(text),
        "repetitive": _REPEATED.search(text),
        "hidden_characters": _HIDDEN.search(text),
    }
    return tuple(code for code, found in faults.items() if found)


def sets_aside(codes: Iterable[str]) -> bool:
    """Whether a candidate with these codes stays out of synthesis."""
    return not KEPT_CODES.issuperset(codes)


def _is_not_checkable(text: str) -> bool:
    return bool(
        text.rstrip().endswith("?")
        or _COMPARES.search(text)
        or _BEYOND_THE_TEXT.search(text)
        or _ONLY_PRAISE.fullmatch(text)
    )


def _is_particular(text: str, pair_prompt: str) -> bool:
    """Whether the rule repeats names, numbers, quotations or a long phrase of the pair's prompt."""
    prompt_words = words(pair_prompt)
    in_prompt = f" {' '.join(prompt_words)} "
    for name in map(normalise_rule, _names(text)):
        apart = name[:1].isascii() or words_of_char(name[0]) is None  # else no space ends the word in the prompt
        if (f" {name} " if apart else name) in in_prompt:
            return True
    return not _phrases(words(text)).isdisjoint(_phrases(prompt_words))


def _phrases(found: list[str]) -> set[tuple[str, ...]]:
    """Everything that is as long as a quotation: words in a row; characters where a script writes no words apart."""
    rows = range(len(found) - SHARED_PHRASE_WORDS + 1)
    phrases = {tuple(found[start : start + SHARED_PHRASE_WORDS]) for start in rows}
    for word in found:
        share = None if word.isascii() else words_of_char(word[0])
        n = ceil(SHARED_PHRASE_WORDS / share) if share else len(word) + 1
        phrases.update((word[start : start + n],) for start in range(len(word) - n + 1))
    return phrases


def _names(text: str) -> Iterator[str]:
    """Quotations, numbers and capitalised words within a sentence, unless they name a common language or format."""
    for match in _QUOTED.finditer(text):
        yield match[1] or match[2] or match[3]
    for match in _NAME.finditer(text):
        if not _COMMON_NAME.fullmatch(match[0]):
            yield match[0]
