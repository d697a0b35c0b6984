"""The questions of synthesis about finished rules: split what asks for several things, find what contradicts."""

from collections.abc import Sequence
from typing import Any

from autorule.backends.base import GenerateRequest
from autorule.config.stages import MAX_RULE_CHARS, SynthesisConfig
from autorule.errors import ParseError
from autorule.extraction.answer_bounds import list_schema, number_schema, object_schema, rule_schema
from autorule.extraction.merging import is_number, last_list, numbered, synthesis_request
from autorule.extraction.synthesis import Draft
from autorule.prompting import Prompt
from autorule.records import ModelOutput
from autorule.rules.linting import lint_rule, sets_aside
from autorule.rules.similarity import SimilarPair
from autorule.rules.text import clean_rule

PAIRS_PER_CALL = 40
CHARS_PER_PART = 10
"""Each thing that a rule asks for takes so many characters of it at least."""


def split_schema(n_rules: int, max_chars: int) -> dict[str, Any]:
    parts = list_schema(rule_schema(max_chars), most=_most_parts(max_chars), least=1)
    return object_schema(rules=list_schema(object_schema(**{"from": number_schema(1, n_rules)}, parts=parts), n_rules))


def contradiction_schema(n_pairs: int) -> dict[str, Any]:
    return object_schema(contradictions=list_schema(number_schema(1, n_pairs), most=n_pairs))


def compound_drafts(drafts: Sequence[Draft], max_chars: int) -> list[Draft]:
    """The drafts whose text asks for several things, going by its wording."""
    return [draft for draft in drafts if "compound" in lint_rule(draft.text, "", max_chars)]


def build_split(
    drafts: Sequence[Draft], prompt: Prompt, config: SynthesisConfig, max_chars: int = MAX_RULE_CHARS
) -> GenerateRequest:
    """The question how to split compound rules. `prompt` shows {rules}; `max_chars` is the longest that a part may
    be."""
    rules = numbered([draft.text for draft in drafts])
    return synthesis_request("split", {"rules": rules}, prompt, split_schema(len(drafts), max_chars), config)


def parse_split(request: GenerateRequest, output: ModelOutput, n_rules: int) -> dict[int, list[str]]:
    """Rule (from 0) -> its parts. Raises ParseError."""
    parts: dict[int, list[str]] = {}
    for entry in last_list(request, output, "rules"):
        number, texts = (entry.get("from"), entry.get("parts")) if isinstance(entry, dict) else (None, None)
        if not is_number(number) or not 1 <= number <= n_rules:
            raise ParseError(f"rule number {number!r} is not in the list of {n_rules}")
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
            raise ParseError(f"rule {number} has no list of parts")
        parts[number - 1] = [clean_rule(text) for text in texts]
    return parts


def apply_split(drafts: Sequence[Draft], parts: dict[int, list[str]], prompt: Prompt, max_chars: int) -> list[Draft]:
    """The parts of each draft, with all its candidates behind each. A draft with a part that reads as no rule (lint)
    stays whole, and so does one with more parts than it can have: others may be missing."""
    after = []
    for number, draft in enumerate(drafts):
        texts = parts.get(number, [draft.text])
        if len(texts) > _most_parts(max_chars) or any(
            sets_aside(lint_rule(text, prompt.text, max_chars)) for text in texts
        ):
            texts = [draft.text]
        after += [Draft(text, draft.candidates) for text in texts]
    return after


def build_contradictions(pairs: Sequence[tuple[str, str]], prompt: Prompt, config: SynthesisConfig) -> GenerateRequest:
    """The question which pairs of rules contradict each other. `prompt` shows {pairs}."""
    shown = "\n".join(f"{number}. {one}\n   {other}" for number, (one, other) in enumerate(pairs, start=1))
    return synthesis_request("contradictions", {"pairs": shown}, prompt, contradiction_schema(len(pairs)), config)


def parse_contradictions(request: GenerateRequest, output: ModelOutput, n_pairs: int) -> list[int]:
    """The numbers (from 0) of the pairs that contradict. Raises ParseError."""
    numbers = last_list(request, output, "contradictions")
    for number in numbers:
        if not is_number(number) or not 1 <= number <= n_pairs:
            raise ParseError(f"pair number {number!r} is not in the list of {n_pairs}")
    return sorted({number - 1 for number in numbers})


def _most_parts(max_chars: int) -> int:
    return max(2, max_chars // CHARS_PER_PART)


def to_compare(pairs: Sequence[SimilarPair]) -> list[list[SimilarPair]]:
    """The pairs in calls, most similar first."""
    ordered = sorted(pairs, key=lambda pair: (-pair.similarity, pair.first, pair.second))
    return [ordered[start : start + PAIRS_PER_CALL] for start in range(0, len(ordered), PAIRS_PER_CALL)]
