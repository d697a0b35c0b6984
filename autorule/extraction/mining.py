"""Stage 2: which rules does a chain imply? Builds the request for a chain, reads the rules, and lints them.

AutoRule (arXiv 2506.15651), stage 2. A candidate that breaks a lint is kept with the codes and set aside: it is never
merged, and never lost.
"""

from typing import Any

from autorule.backends.answer_text import check_is_whole, json_values, list_item, was_cut_off, whole_answer
from autorule.backends.base import GenerateRequest
from autorule.config.stages import MiningConfig
from autorule.errors import ParseError
from autorule.extraction.answer_bounds import list_schema, object_schema, ran_on, rule_schema
from autorule.prompting import Prompt, fence_for, trim_middle
from autorule.records import CandidateRule, Interpretation, ModelOutput, content_id
from autorule.rules.linting import lint_rule, sets_aside
from autorule.rules.text import clean_rule, normalise_rule


def rules_schema(config: MiningConfig) -> dict[str, Any]:
    """Twice the rules that are asked for: those that lint sets aside take no other's place."""
    return object_schema(rules=list_schema(rule_schema(config.max_rule_chars), most=2 * config.max_rules))


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
        json_schema=None if prompt.begun_answer else rules_schema(config),
        prompt_sha256=prompt.sha256,
    )


def parse_rules(request: GenerateRequest, output: ModelOutput) -> list[str]:
    """The rules in an answer, which is JSON (perhaps fenced, perhaps with text around it) or a bulleted list.

    An explicit empty list is an answer: this chain implies no rule. Of a bulleted list that was cut off, the last line
    is dropped (is_cut tells so). Raises ParseError when there is neither JSON with rules nor a list, and for JSON that
    was cut off.
    """
    text = whole_answer(request.messages, output.text)
    found = _json_rules(list(json_values(text)))
    if found is not None:
        check_is_whole(output, text)
        return found
    lines = text.splitlines()
    if was_cut_off(output) and lines and not lines[-1].rstrip().endswith((".", "!", "?")):
        lines.pop()
    rules = [item for line in lines if (item := list_item(line))]
    if not rules:
        raise ParseError(f"no list of rules in the answer: {output.text[:80]!r}")
    return rules


def is_cut(request: GenerateRequest, output: ModelOutput) -> bool:
    """Whether rules may be missing from an answer that was read: its list ran on to its bound, or is one of lines that
    the token limit ended."""
    of_lines = _json_rules(list(json_values(whole_answer(request.messages, output.text)))) is None
    return ran_on(request, output) or (of_lines and was_cut_off(output))


def candidates_from(
    interpretation: Interpretation,
    rules: list[str],
    prompt: Prompt,
    config: MiningConfig,
    pair_prompt: str = "",
    control: bool = False,
    cut: bool = False,
) -> list[CandidateRule]:
    """One candidate for each distinct rule of the chain, with its lint codes; at most `max_rules` good ones.

    `pair_prompt` is the text of the pair's prompt, whose particulars no rule may repeat; `control` marks a tie, and
    `cut` a list that more rules may be missing from, which its last candidate says.
    """
    candidates: dict[str, CandidateRule] = {}
    n_good = 0
    for text in map(clean_rule, rules):
        key = normalise_rule(text)
        if not key or key in candidates:
            continue
        codes = lint_rule(text, prompt.text, config.max_rule_chars, pair_prompt)
        if n_good >= config.max_rules and not sets_aside(codes):
            codes = (*codes, "over_max_rules")
        n_good += not sets_aside(codes)
        candidates[key] = CandidateRule(
            candidate_id=content_id("candidate", interpretation.interpretation_id, text),
            text=text,
            interpretation_id=interpretation.interpretation_id,
            pair_id=interpretation.pair_id,
            lint=codes,
            control=control,
        )
    found = list(candidates.values())
    if cut and found:
        found[-1] = found[-1].model_copy(update={"lint": (*found[-1].lint, "list_cut")})
    return found


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
