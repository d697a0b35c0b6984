"""Rules that code decides: a fixed set of checks, with their parameters in the rule set file.

A rule with a check is not shown to the verifying model: its verdict is yes or no by the definition given here, and
costs nothing. A check sees the text of the completion (without its thinking, unless the rule set judges that too) and
nothing else. No code is ever read from a rule set, and no pattern either.
"""

import inspect
import json
import re
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

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


class _Check(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CountCheck(_Check):
    """So many words, sentences, list items ... of them."""

    kind: Literal["count"] = "count"
    of: Literal["characters", "words", "sentences", "paragraphs", "list_items", "headings"]
    at_least: int | None = Field(None, ge=0)
    at_most: int | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _has_a_bound(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError("a count needs at_least, at_most, or both")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"at_least {self.at_least} is more than at_most {self.at_most}")
        return self

    def holds(self, text: str) -> bool:
        n = COUNTERS[self.of](text)
        return (self.at_least is None or n >= self.at_least) and (self.at_most is None or n <= self.at_most)


class KeywordsCheck(_Check):
    """Words or phrases that occur, whole and in any case: all of them, any of them, or none."""

    kind: Literal["keywords"] = "keywords"
    words: tuple[Annotated[str, Field(pattern=r"\S")], ...] = Field(min_length=1)
    need: Literal["all", "any", "none"] = "all"

    def holds(self, text: str) -> bool:
        found = [_occurs(word, text) for word in self.words]
        return {"all": all(found), "any": any(found), "none": not any(found)}[self.need]


class CaseCheck(_Check):
    """Every letter that has a case is upper, or lower; a text without one is neither."""

    kind: Literal["case"] = "case"
    letters: Literal["upper", "lower"]

    def holds(self, text: str) -> bool:
        return text.isupper() if self.letters == "upper" else text.islower()


class PunctuationCheck(_Check):
    """Ends with one of these characters (white space apart); holds none of those."""

    kind: Literal["punctuation"] = "punctuation"
    ends_with: str | None = Field(None, min_length=1, description="one of these characters stands last")
    without: str | None = Field(None, min_length=1, description="none of these characters occurs")

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if self.ends_with is None and self.without is None:
            raise ValueError("punctuation needs ends_with, without, or both")
        return self

    def holds(self, text: str) -> bool:
        stripped = text.rstrip()
        ends = self.ends_with is None or (bool(stripped) and stripped[-1] in self.ends_with)
        return ends and not (self.without and any(char in text for char in self.without))


class EdgeCheck(_Check):
    """Begins, or ends, with a text (white space apart)."""

    kind: Literal["edge"] = "edge"
    at: Literal["start", "end"]
    text: str = Field(pattern=r"\S")

    def holds(self, text: str) -> bool:
        return text.lstrip().startswith(self.text) if self.at == "start" else text.rstrip().endswith(self.text)


class JsonCheck(_Check):
    """The whole text is one JSON value, bare or in one code fence; an object with these keys, where any are named."""

    kind: Literal["json"] = "json"
    keys: tuple[str, ...] = ()

    def holds(self, text: str) -> bool:
        text = text.replace("\r\n", "\n")
        fenced = _FENCED.fullmatch(text.strip())
        try:
            value = json.loads(fenced[1] if fenced else text, parse_constant=_no_json)
        except (ValueError, RecursionError):
            return False
        return not self.keys or (isinstance(value, dict) and set(self.keys) <= value.keys())


class LanguageCheck(_Check):
    """The text is in this language, as the package langdetect tells with a fixed seed."""

    kind: Literal["language"] = "language"
    code: str = Field(pattern=r"^[a-z]{2}(-[a-z]{2})?$", description="ISO 639-1, such as en, de or zh-cn")

    def holds(self, text: str) -> bool:
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
            return str(detect(text)).lower() == self.code
        except LangDetectException as error:
            if error.code != ErrorCode.CantDetectError:  # which says: no letters, no language
                raise
            return False


class IfevalCheck(_Check):
    """An instruction of IFEval (arXiv 2311.07911), by its id, as the package if-verifiable checks it."""

    kind: Literal["ifeval"] = "ifeval"
    instruction: str = Field(description="such as detectable_format:number_bullet_lists")
    parameters: dict[str, JsonValue] = {}

    def holds(self, text: str) -> bool:
        checker = _ifeval_instruction(self.instruction, json.dumps(self.parameters, sort_keys=True))
        return bool(text.strip()) and bool(checker.check_following(text))


CodeCheck = Annotated[
    CountCheck | KeywordsCheck | CaseCheck | PunctuationCheck | EdgeCheck | JsonCheck | LanguageCheck | IfevalCheck,
    Field(discriminator="kind"),
]


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
