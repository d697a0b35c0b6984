"""Stage 2: which rules does a chain imply? Builds the request for a chain, reads the rules, and lints them.

AutoRule (arXiv 2506.15651), stage 2. A candidate that breaks a lint is kept with the codes and set aside: it is never
merged, and never lost.
"""

import re
from typing import Any

from autorule.answer_text import json_values, list_item, whole_answer
from autorule.backends.base import GenerateRequest
from autorule.errors import ParseError
from autorule.prompting import Prompt, fence_for, trim_middle
from autorule.records import CandidateRule, Interpretation, ModelOutput, content_id
from autorule.stage_config import MiningConfig

RULES_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"rules": {"type": "array", "items": {"type": "string"}}},
    "required": ["rules"],
    "additionalProperties": False,
}
SIDE = re.compile(  # letters of sides are capitals: "answer a question" names none
    r"\b(?i:response|assistant|answer|output|completion|model)s?\s+[AB]\b|\b(?i:response|assistant)\s+[12]\b"
    r"|\b(?i:chosen|rejected|(?:dis)?preferred|other|better|worse)\s+(?i:response|answer|assistant|completion)\b"
)
SEVERAL_SENTENCES = re.compile(r"(?<!e\.g)(?<!i\.e)(?<!etc)(?<!vs)[.!?]\s+[A-Z]")
MIN_RULE_WORDS = 4
WRAPPERS = (("**", "**"), ('"', '"'), ("“", "”"), ("`", "`"), ("*", "*"), ("_", "_"))
REPEATED = re.compile(r"\b(\w+(?:\W+\w+){1,7})\W+\1\b|\b(\w{3,})\W+(?:and|or)\W+\2\b", re.IGNORECASE)


def build_request(interpretation: Interpretation, prompt: Prompt, config: MiningConfig) -> GenerateRequest:
    """The question about one chain. `prompt` shows {chain}, and may show {max_rules} and {fence}.

    Raises ParseError when the interpretation lacks the part that is to be mined.
    """
    chain = trim_middle(_source_text(interpretation, config), config.max_chain_chars).text
    if not chain.strip():
        raise ParseError(f"the interpretation holds no {config.extract_from} to mine from (extract_from)")
    return GenerateRequest(
        request_id=interpretation.interpretation_id,
        stage="mining",
        messages=prompt.render({"chain": chain}, {"max_rules": str(config.max_rules), "fence": fence_for([chain])}),
        sampling=config.sampling,
        json_schema=None if prompt.begun_answer else RULES_SCHEMA,
        prompt_sha256=prompt.sha256,
    )


def parse_rules(request: GenerateRequest, output: ModelOutput) -> list[str]:
    """The rules in an answer, which is JSON (perhaps fenced, perhaps with text around it) or a bulleted list.

    An explicit empty list is an answer: this chain implies no rule. Of a list that was cut off, the last line is
    dropped. Raises ParseError when there is neither JSON with rules nor a list.
    """
    text = whole_answer(request.messages, output.text)
    found = _json_rules(list(json_values(text)))
    if found is not None:
        return found
    lines = text.splitlines()
    if output.finish_reason == "length" and lines and not lines[-1].rstrip().endswith((".", "!", "?")):
        lines.pop()
    rules = [item for line in lines if (item := list_item(line))]
    if not rules:
        raise ParseError(f"no list of rules in the answer: {output.text[:80]!r}")
    return rules


def candidates_from(
    interpretation: Interpretation, rules: list[str], prompt: Prompt, config: MiningConfig
) -> list[CandidateRule]:
    """One candidate for each distinct rule of the chain, with its lint codes; at most `max_rules` unmarked ones."""
    candidates: dict[str, CandidateRule] = {}
    for text in map(clean_rule, rules):
        key = normalise_rule(text)
        if not key or key in candidates:
            continue
        codes = lint_rule(text, prompt.text, config.max_rule_chars)
        if not codes and sum(not candidate.lint for candidate in candidates.values()) >= config.max_rules:
            codes = ("over_max_rules",)
        candidates[key] = CandidateRule(
            candidate_id=content_id("candidate", interpretation.interpretation_id, text),
            text=text,
            interpretation_id=interpretation.interpretation_id,
            pair_id=interpretation.pair_id,
            lint=codes,
        )
    return list(candidates.values())


def lint_rule(text: str, prompt_text: str, max_chars: int) -> tuple[str, ...]:
    """Codes of what keeps a text from being a rule; empty for a good one.

    names_side: speaks of response A or of the preferred one. too_long, too_short: more than `max_chars`, fewer than
    four words. worked_example: stands in the prompt itself. several_sentences: more than one. repetitive: says the
    same words twice over.
    """
    codes = []
    if SIDE.search(text):
        codes.append("names_side")
    if len(text) > max_chars:
        codes.append("too_long")
    if _n_words(text) < MIN_RULE_WORDS:
        codes.append("too_short")
    if normalise_rule(text) in normalise_rule(prompt_text):
        codes.append("worked_example")
    if SEVERAL_SENTENCES.search(text):
        codes.append("several_sentences")
    if REPEATED.search(text):
        codes.append("repetitive")
    return tuple(codes)


def clean_rule(text: str) -> str:
    """One line, without list marks, quotes or emphasis around it, with a full stop."""
    text = " ".join(text.split())
    text = (list_item(text) or text).strip()
    for opening, closing in WRAPPERS:
        inner = text[len(opening) : -len(closing)]
        if len(text) > 2 and text.startswith(opening) and text.endswith(closing) and closing not in inner:
            text = inner.strip()
    return text if not text or text[-1] in ".!?" else text + "."


def _n_words(text: str) -> int:
    """Words; two characters count as one where a script writes none between spaces (Chinese, Japanese, Korean)."""
    return len(text.split()) + sum(char >= "\u2e80" for char in text) // 2


def normalise_rule(text: str) -> str:
    """The words of a rule in lower case: two rules with the same words are one."""
    return " ".join(re.findall(r"[^\W_]+", text.casefold()))


def _source_text(interpretation: Interpretation, config: MiningConfig) -> str:
    if config.extract_from == "answer":
        return interpretation.answer
    if config.extract_from == "both" and interpretation.answer and interpretation.answer != interpretation.chain:
        return f"{interpretation.chain}\n\n{interpretation.answer}"
    return interpretation.chain


def _json_rules(values: list[Any]) -> list[str] | None:
    """The rules of the last object that has any: an earlier one may echo the example in the prompt.

    Without such an object, those of the last bare list. Only an object can say that there is no rule: `[]` stands in
    many a text.
    """
    lists = [value["rules"] for value in values if isinstance(value, dict) and _are_texts(value.get("rules"))]
    bare = [value for value in values if value and _are_texts(value)]
    for candidates in (list(filter(None, lists)), bare, lists):
        if candidates:
            return list(candidates[-1])
    return None


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
