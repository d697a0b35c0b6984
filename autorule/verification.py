"""Stage 4: does a completion satisfy a rule? Builds the request for all rules of a set and reads the verdicts.

The conversation stands first and the rule last, so that the K questions about one completion share its prefix. P(yes)
is p(Yes) / (p(Yes) + p(No)) from the first token of the answer; what can't be read is unscored, never No.
"""

from typing import Literal

from autorule.backends.base import ChoiceProbabilities, ChoiceRequest, Question
from autorule.prompting import Trimmed, fence_for, trim_middle
from autorule.records import Completion, Failure, Messages, PreferencePair, Verdict, content_id
from autorule.rule_sets import RuleSet, VerificationSpec

ROLE_LABELS = {"system": "System", "user": "User", "assistant": "Assistant", "tool": "Tool"}


def build_request(completion: Completion, rule_set: RuleSet) -> ChoiceRequest:
    """All rules as questions about one completion. The prompt shows {conversation}, and {rule} in its question."""
    spec = rule_set.verification
    conversation = render_conversation(completion, spec.max_conversation_chars).text
    questions = (Question(rule.rule_id, spec.prompt.render_question({"rule": rule.text})) for rule in rule_set.rules)
    return ChoiceRequest(
        request_id=completion.completion_id,
        stage="verification",
        messages=spec.prompt.render({"conversation": conversation}),
        questions=tuple(questions),
        choices=spec.choices,
        prompt_sha256=spec.prompt_sha256,
    )


def read_verdict(
    completion: Completion, rule_id: str, result: ChoiceProbabilities | Failure, spec: VerificationSpec
) -> Verdict:
    """The verdict on one rule; without one (`verdict` is None) when the verifier failed or its mass is too small."""
    trimmed = render_conversation(completion, spec.max_conversation_chars).trimmed
    if isinstance(result, Failure):
        return Verdict(
            completion_id=completion.completion_id, rule_id=rule_id, verdict=None, trimmed=trimmed, failure=result
        )
    p = result.probabilities
    yes, no, not_applicable = p["Yes"], p["No"], p.get("N/A")
    mass = yes + no + (not_applicable or 0.0)
    p_yes = yes / (yes + no) if yes + no > 0 else None
    verdict: Literal["yes", "no", "not_applicable"] | None
    failure = None
    if p_yes is None or (result.complete and mass < spec.mass_floor):
        verdict = None
        failure = Failure(
            stage="verification",
            kind="parse",
            item_id=completion.completion_id,
            message=f"the choices have a probability of {mass:.3g} together, below the floor of {spec.mass_floor}",
        )
    elif not_applicable is not None and not_applicable > max(yes, no):
        verdict = "not_applicable"
    else:
        verdict = "yes" if p_yes >= spec.threshold else "no"
    return Verdict(
        completion_id=completion.completion_id,
        rule_id=rule_id,
        verdict=verdict,
        p_yes=p_yes,
        p_not_applicable=not_applicable,
        mass=mass if result.complete else None,
        trimmed=trimmed,
        failure=failure,
    )


def render_conversation(completion: Completion, max_chars: int) -> Trimmed:
    """The prompt and the completion as turns, each fenced, so that no text can pass for a turn of its own.

    Beyond `max_chars` characters, the longest turns lose their middle.
    """
    turns = (*completion.prompt, *completion.completion)
    limit = _longest_allowed([len(turn.content) for turn in turns], max_chars)
    contents = [trim_middle(turn.content, limit) for turn in turns]
    fence = fence_for(content.text for content in contents)
    shown = (
        f"{ROLE_LABELS[turn.role]}:\n{fence}\n{content.text}\n{fence}"
        for turn, content in zip(turns, contents, strict=True)
    )
    return Trimmed("\n\n".join(shown), any(content.trimmed for content in contents))


def _longest_allowed(lengths: list[int], total: int) -> int:
    """The cap on each length with which all of them together come to at most `total`."""
    remaining = total
    for n_left, length in zip(range(len(lengths), 0, -1), sorted(lengths), strict=True):
        if length * n_left > remaining:
            return remaining // n_left
        remaining -= length
    return max(lengths, default=0)


def completion_id(prompt: Messages, completion: Messages) -> str:
    """Hash of the conversation: the same completion of the same prompt has the same id."""
    return content_id("completion", [[m.role, m.content] for m in prompt], [[m.role, m.content] for m in completion])


def completions_of(pair: PreferencePair) -> tuple[Completion, Completion]:
    """Both sides of a pair as completions to score: chosen, rejected."""

    def side(name: Literal["chosen", "rejected"], messages: Messages) -> Completion:
        return Completion(
            completion_id=completion_id(pair.prompt, messages),
            row=pair.row,
            source_id=pair.source_id,
            prompt=pair.prompt,
            completion=messages,
            pair_id=pair.pair_id,
            side=name,
        )

    return side("chosen", pair.chosen), side("rejected", pair.rejected)
