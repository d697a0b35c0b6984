"""Rules that code decides: a fixed set of checks, with their parameters in the rule set file.

A rule with a check is not shown to the verifying model: autorule/verification/code_checks.py defines what passes, and
says yes or no at no cost. A check sees the text of the completion (without its
thinking, unless the rule set judges that too) and nothing else. No code is ever read from a rule set, and no pattern
either. Also here, below all that has numbers: how large they may be.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, model_validator

MOST = 10**9
"""More than there is of anything that is counted, here and in all settings: a larger number is a slip."""
MOST_DIGITS = 309
"""Of a whole number in JSON: one with more is too large for a float."""
MOST_WHOLE = 2**63 - 1
"""Of 64 bits, which seeds may have."""


def _of_64_bits(content: dict[str, JsonValue]) -> dict[str, JsonValue]:
    left: list[Any] = [content]
    while left:
        one = left.pop()
        if isinstance(one, int) and abs(one) > MOST_WHOLE:
            raise ValueError("it holds a whole number of more than 64 bits, which few readers of JSON take")
        left.extend(one.values() if isinstance(one, dict) else one if isinstance(one, list) else ())
    return content


JsonObject = Annotated[dict[str, JsonValue], AfterValidator(_of_64_bits)]
"""What other packages are given as it is. A model that holds it has allow_inf_nan=False, which holds for all in it."""


class _Check(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class CountCheck(_Check):
    """So many words, sentences, list items ... of them."""

    kind: Literal["count"] = "count"
    of: Literal["characters", "words", "sentences", "paragraphs", "list_items", "headings"]
    at_least: int | None = Field(None, strict=True, ge=0, le=MOST)
    at_most: int | None = Field(None, strict=True, ge=0, le=MOST)

    @model_validator(mode="after")
    def _has_a_bound(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError("a count needs at_least, at_most, or both")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"at_least {self.at_least} is more than at_most {self.at_most}")
        return self


class KeywordsCheck(_Check):
    """Words or phrases that occur, whole and in any case: all of them, any of them, or none."""

    kind: Literal["keywords"] = "keywords"
    words: tuple[Annotated[str, Field(pattern=r"\S")], ...] = Field(min_length=1)
    need: Literal["all", "any", "none"] = "all"


class CaseCheck(_Check):
    """Every letter that has a case is upper, or lower; a text without one is neither."""

    kind: Literal["case"] = "case"
    letters: Literal["upper", "lower"]


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


class EdgeCheck(_Check):
    """Begins, or ends, with a text (white space apart)."""

    kind: Literal["edge"] = "edge"
    at: Literal["start", "end"]
    text: str = Field(pattern=r"\S")


class JsonCheck(_Check):
    """The whole text is one JSON value, bare or in one code fence; an object with these keys, where any are named."""

    kind: Literal["json"] = "json"
    keys: tuple[str, ...] = ()


class LanguageCheck(_Check):
    """The text is in this language, as the package langdetect tells with a fixed seed."""

    kind: Literal["language"] = "language"
    code: str = Field(pattern=r"^[a-z]{2}(-[a-z]{2})?$", description="ISO 639-1, such as en, de or zh-cn")


class IfevalCheck(_Check):
    """An instruction of IFEval (arXiv 2311.07911), by its id, as the package if-verifiable checks it."""

    kind: Literal["ifeval"] = "ifeval"
    instruction: str = Field(description="such as detectable_format:number_bullet_lists")
    parameters: JsonObject = {}


CodeCheck = Annotated[
    CountCheck | KeywordsCheck | CaseCheck | PunctuationCheck | EdgeCheck | JsonCheck | LanguageCheck | IfevalCheck,
    Field(discriminator="kind"),
]
