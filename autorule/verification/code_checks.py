"""Decides rules by code, without a model: does a text pass a check?"""

import inspect
import json
import re
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any, assert_never

from autorule.code_checks import (
    CaseCheck,
    CodeCheck,
    CountCheck,
    EdgeCheck,
    IfevalCheck,
    JsonCheck,
    KeywordsCheck,
    LanguageCheck,
    PunctuationCheck,
)
from autorule.errors import ConfigError, MissingExtraError

_langdetect_lock = threading.Lock()

_SENTENCE_END = re.compile(r"(?<![.!?…])[.!?…]++[\"')\]”’]*+(?=\s|$)|[。！？]++")
_LIST_ITEM = re.compile(r"^[ \t]*(?:[-*+•]|\d{1,3}[.)])[ \t]+\S", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6}[ \t]+\S", re.MULTILINE)
_FENCED = re.compile(r"```[\w+-]*[ \t]*\n(.*)\n```", re.DOTALL)
_FENCE = re.compile(r"^(?:```|~~~)", re.MULTILINE)
_SPACELESS = r"\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0eff"
"""Scripts that put no space between words: kana, Chinese characters, Thai, Lao."""
_WORD = re.compile(r"\w")

COUNTERS: dict[str, Callable[[str], int]] = {
    "characters": len,
    "words": lambda text: len(text.split()),
    "sentences": lambda text: sum(1 for part in _SENTENCE_END.split(text) if _WORD.search(part)),
    "paragraphs": lambda text: sum(1 for part in re.split(r"\n[ \t]*\n", text) if part.strip()),
    "list_items": lambda text: len(_LIST_ITEM.findall(_outside_fences(text))),
    "headings": lambda text: len(_HEADING.findall(_outside_fences(text))),
}
"""What can be counted. Words go by white space; a sentence ends with a mark before white space (so "e.g. this" has
two); paragraphs go by blank lines; list items and headings are those of Markdown, outside fenced code."""


def holds(check: CodeCheck, text: str) -> bool:
    """Whether the text passes the check.

    Raises MissingExtraError where a check needs a package that is absent, ConfigError for an instruction that IFEval
    does not have, and whatever a checking package trips over.
    """
    match check:
        case CountCheck():
            n = COUNTERS[check.of](text)
            return (check.at_least is None or n >= check.at_least) and (check.at_most is None or n <= check.at_most)
        case KeywordsCheck():
            found = [_occurs(word, text) for word in check.words]
            return {"all": all(found), "any": any(found), "none": not any(found)}[check.need]
        case CaseCheck():
            return text.isupper() if check.letters == "upper" else text.islower()
        case PunctuationCheck():
            stripped = text.rstrip()
            ends = check.ends_with is None or (bool(stripped) and stripped[-1] in check.ends_with)
            return ends and not (check.without and any(char in text for char in check.without))
        case EdgeCheck():
            begins = text.lstrip().startswith(check.text)
            return begins if check.at == "start" else text.rstrip().endswith(check.text)
        case JsonCheck():
            return _is_json(text, check.keys)
        case LanguageCheck():
            return _language(text) == check.code
        case IfevalCheck():
            checker = _ifeval_instruction(check.instruction, json.dumps(check.parameters, sort_keys=True))
            return bool(text.strip()) and bool(checker.check_following(text))
    assert_never(check)


def _is_json(text: str, keys: tuple[str, ...]) -> bool:
    text = text.replace("\r\n", "\n")
    fenced = _FENCED.fullmatch(text.strip())
    try:
        value = json.loads(fenced[1] if fenced else text, parse_constant=_no_json)
    except (ValueError, RecursionError):
        return False
    return not keys or (isinstance(value, dict) and set(keys) <= value.keys())


def _language(text: str) -> str | None:
    """The code of the text's language; None for a text without letters."""
    try:
        from langdetect import DetectorFactory, LangDetectException, detect
        from langdetect.detector_factory import init_factory
        from langdetect.lang_detect_exception import ErrorCode
    except ModuleNotFoundError as error:
        raise MissingExtraError("langdetect", "checks", "a check of the language") from error
    with _langdetect_lock:  # it loads its profiles at the first call, and not safely
        DetectorFactory.seed = 0
        init_factory()
    try:
        return str(detect(text)).lower()
    except LangDetectException as error:
        if error.code != ErrorCode.CantDetectError:  # which says: no letters, no language
            raise
        return None


def _occurs(word: str, text: str) -> bool:
    """Whether the word stands in the text, with no letter or digit right beside it."""
    before = r"(?<!\w)" if _is_spaced(word[0]) else ""
    after = r"(?!\w)" if _is_spaced(word[-1]) else ""
    return re.search(before + re.escape(word) + after, text, re.IGNORECASE) is not None


def _is_spaced(char: str) -> bool:
    """Whether the character belongs to words with spaces between them."""
    return _WORD.match(char) is not None and re.match(f"[{_SPACELESS}]", char) is None


def _outside_fences(text: str) -> str:
    """The text without what stands in code fences."""
    return "\n".join(part.partition("\n")[2] if index else part for index, part in enumerate(_FENCE.split(text)[::2]))


def _no_json(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


@lru_cache(maxsize=256)
def _ifeval_instruction(instruction: str, parameters: str) -> Any:
    try:
        from if_verifiable.ifeval.instructions_registry import INSTRUCTION_DICT
    except ModuleNotFoundError as error:
        raise MissingExtraError("if-verifiable", "checks", "a check by IFEval's instructions") from error
    if instruction not in INSTRUCTION_DICT:
        raise ConfigError(f"IFEval has no instruction {instruction!r}; it has {', '.join(sorted(INSTRUCTION_DICT))}")
    checker = INSTRUCTION_DICT[instruction](instruction)
    given, needed = json.loads(parameters), set(inspect.signature(checker.build_description).parameters)
    if needed != set(given) or None in given.values():  # what is left out would be drawn at random
        raise ConfigError(f"IFEval's {instruction} needs the parameters {sorted(needed)}, and has {sorted(given)}")
    checker.build_description(**given)
    return checker
