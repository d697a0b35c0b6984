"""Stage 3: from thousands of candidates to tens of rules.

Candidates with the same words fold first, then near duplicates; the model merges clusters of similar rules, then
lists of what is left, until one list fits. Every candidate ends behind a rule or with a stated reason. A merge that
fails leaves its rules as they were. AutoRule (arXiv 2506.15651) merges once, in a single call; here that would be
one list of all candidates.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from autorule.answer_text import json_values, list_item, whole_answer
from autorule.backends.base import GenerateRequest
from autorule.errors import ParseError
from autorule.linting import lint_rule
from autorule.prompting import Prompt, fence_for
from autorule.records import CandidateRule, DroppedCandidate, ModelOutput, Rule, content_id
from autorule.rule_text import clean_rule, normalise_rule
from autorule.similarity import leader_clusters
from autorule.stage_config import SynthesisConfig

MERGE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "rules": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "rule": {"type": "string"},
                    "from": {"type": "array", "items": {"type": "integer"}, "minItems": 1},
                },
                "required": ["rule", "from"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["rules"],
    "additionalProperties": False,
}


class Draft(NamedTuple):
    """A rule on its way: its text and the candidates behind it."""

    text: str
    candidates: tuple[CandidateRule, ...]

    @property
    def support(self) -> int:
        return len({candidate.pair_id for candidate in self.candidates})


class Merged(NamedTuple):
    """One rule of a merge answer, with the numbers (from 0) of the rules that it replaces."""

    text: str
    members: tuple[int, ...]


def fold(candidates: Iterable[CandidateRule], config: SynthesisConfig) -> list[Draft]:
    """Candidates that say the same in the same or nearly the same words, as one draft each; best supported first.

    The text of a draft is the commonest wording, then the shortest.
    """
    same: dict[str, list[CandidateRule]] = {}
    for candidate in candidates:
        same.setdefault(normalise_rule(candidate.text), []).append(candidate)
    drafts = in_order(_draft(group) for group in same.values())
    clusters = leader_clusters([draft.text for draft in drafts], config.fold_similarity, max_size=len(drafts))
    return in_order(_draft([c for index in cluster for c in drafts[index].candidates]) for cluster in clusters)


def in_order(drafts: Iterable[Draft]) -> list[Draft]:
    """By support, then text: the same for every run."""
    return sorted(drafts, key=lambda draft: (-draft.support, draft.text))


def merge_groups(drafts: Sequence[Draft], config: SynthesisConfig, round_index: int) -> list[list[Draft]]:
    """What one round merges: clusters of similar drafts first, then the whole list in pieces that fit a call."""
    if round_index == 0:
        clusters = leader_clusters([draft.text for draft in drafts], config.merge_similarity, config.max_merge_rules)
        return [[drafts[index] for index in cluster] for cluster in clusters if len(cluster) > 1]
    step = config.max_merge_rules
    return [list(drafts[start : start + step]) for start in range(0, len(drafts), step) if len(drafts) > 1]


def build_request(group: Sequence[Draft], prompt: Prompt, config: SynthesisConfig) -> GenerateRequest:
    """The question how to merge one group. `prompt` shows {rules}, a numbered list, and may show {fence}."""
    rules = "\n".join(f"{number}. {draft.text}" for number, draft in enumerate(group, start=1))
    return GenerateRequest(
        request_id=content_id("merge", [draft.text for draft in group]),
        stage="synthesis",
        messages=prompt.render({"rules": rules}, {"fence": fence_for([rules]), "max_rules": str(config.max_rules)}),
        sampling=config.sampling,
        json_schema=None if prompt.begun_answer else MERGE_SCHEMA,
        prompt_sha256=prompt.sha256,
    )


def parse_merge(request: GenerateRequest, output: ModelOutput, n_rules: int) -> list[Merged]:
    """The merged rules of an answer: JSON with `rule` and `from`, or one plain line that replaces the whole group.

    Raises ParseError for anything else: a number outside the group, several rules that do not say what they replace.
    """
    text = whole_answer(request.messages, output.text)
    found = [value["rules"] for value in json_values(text) if isinstance(value, dict) and _is_merge(value.get("rules"))]
    if not found:
        lines = [list_item(line) or line.strip() for line in text.splitlines() if line.strip()]
        begun = request.messages[-1].role == "assistant"
        if len(lines) != 1 or output.finish_reason == "length" or not begun:
            raise ParseError(f"neither JSON with rules nor a single rule in the answer: {output.text[:80]!r}")
        return [Merged(clean_rule(lines[0]), tuple(range(n_rules)))]
    merged = []
    for entry in found[-1]:  # an earlier one may echo the example in the prompt
        numbers = entry["from"]
        if outside := [number for number in numbers if not 1 <= number <= n_rules]:
            raise ParseError(f"rule number {outside[0]} is not in the list of {n_rules}")
        merged.append(Merged(clean_rule(entry["rule"]), tuple(sorted({number - 1 for number in numbers}))))
    return merged


def apply_merge(group: Sequence[Draft], merged: Sequence[Merged], prompt: Prompt, max_chars: int) -> list[Draft]:
    """The drafts of a group after its merge. A member that the answer forgot stays, and so do the members of a merged
    rule that reads as none (mining's lint)."""
    drafts = []
    used: set[int] = set()
    for text, members in merged:
        if lint_rule(text, prompt.text, max_chars):
            continue
        used.update(members)
        drafts.append(Draft(text, _distinct(c for index in members for c in group[index].candidates)))
    drafts += [draft for index, draft in enumerate(group) if index not in used]
    return _join_same(drafts)


def after_round(
    drafts: Sequence[Draft], groups: Mapping[str, Sequence[Draft]], merged: Mapping[str, Sequence[Draft]]
) -> list[Draft]:
    """All drafts after a round: the results of the groups that were merged, and every draft that no merge replaced."""
    replaced = {draft.text for key in merged for draft in groups[key]}
    untouched = (draft for draft in drafts if draft.text not in replaced)
    return in_order(_join_same([*untouched, *(draft for key in groups for draft in merged.get(key, ()))]))


def finish(drafts: Sequence[Draft], config: SynthesisConfig) -> tuple[list[Rule], list[DroppedCandidate]]:
    """The final rules, at most `max_rules`, by support; and every candidate behind none of them, with the reason."""
    ordered = in_order(_join_same(drafts))
    kept, over = ordered[: config.max_rules], ordered[config.max_rules :]
    rules = [
        Rule(
            rule_id=content_id("rule", normalise_rule(draft.text)),
            text=draft.text,
            support=draft.support,
            candidate_ids=tuple(sorted({candidate.candidate_id for candidate in draft.candidates})),
            pair_ids=tuple(sorted({candidate.pair_id for candidate in draft.candidates})),
        )
        for draft in kept
    ]
    behind = {candidate_id for rule in rules for candidate_id in rule.candidate_ids}
    dropped = {
        c.candidate_id: f"over the size cap of {config.max_rules} rules (support {draft.support})"
        for draft in over
        for c in draft.candidates
        if c.candidate_id not in behind
    }
    return rules, [DroppedCandidate(candidate_id=key, reason=reason) for key, reason in sorted(dropped.items())]


def _draft(candidates: Sequence[CandidateRule]) -> Draft:
    counts = Counter(candidate.text for candidate in candidates)
    text = min(counts, key=lambda text: (-counts[text], len(text), text))
    return Draft(text, tuple(candidates))


def _join_same(drafts: Iterable[Draft]) -> list[Draft]:
    joined: dict[str, Draft] = {}
    for draft in drafts:
        key = normalise_rule(draft.text)
        before = joined.get(key)
        joined[key] = Draft(before.text, _distinct((*before.candidates, *draft.candidates))) if before else draft
    return list(joined.values())


def _distinct(candidates: Iterable[CandidateRule]) -> tuple[CandidateRule, ...]:
    return tuple({candidate.candidate_id: candidate for candidate in candidates}.values())


def _is_merge(entries: object) -> bool:
    return isinstance(entries, list) and all(
        isinstance(entry, dict)
        and isinstance(entry.get("rule"), str)
        and isinstance(entry.get("from"), list)
        and all(isinstance(number, int) and not isinstance(number, bool) for number in entry["from"])
        and entry["from"]
        for entry in entries
    )
