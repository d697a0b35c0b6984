"""Stage 4: does a completion satisfy a rule? Builds the request for all rules of a set and reads the verdicts.

The conversation stands first and the rule last, so that the K questions about one completion share its prefix. P(yes)
is p(Yes) / (p(Yes) + p(No)) from the first token of the answer; what can't be read is unscored, never No. Verdicts
after free text, and on all rules at once, are in reasoned.py.
"""

from autorule.backends.base import ChoiceProbabilities, ChoiceRequest, Question
from autorule.errors import AutoruleError, in_words
from autorule.records import Completion, Failure, Messages, Rule, Verdict, VerdictLabel
from autorule.rules.rule_sets import RuleSet, VerificationSpec
from autorule.verification.code_checks import holds
from autorule.verification.conversation import final_view, render_conversation

LABELS: dict[str, VerdictLabel] = {"Yes": "yes", "No": "no", "N/A": "not_applicable"}


def describe_choices(choices: tuple[str, ...]) -> str:
    """The choices as the question names them."""
    named = ["N/A if the rule does not apply here" if choice == "N/A" else choice for choice in choices]
    return f"{', '.join(named[:-1])} or {named[-1]}"


def questions_of(rule_set: RuleSet) -> tuple[Question, ...]:
    """What is asked about every conversation, rule by rule; nothing for those that code decides.

    The prompt shows {rule} in its question, and {choices}.
    """
    spec = rule_set.verification
    choices = {"choices": describe_choices(spec.choices)}
    return tuple(
        Question(rule.rule_id, spec.prompt.render_question({"rule": rule.text}, choices))
        for rule in rule_set.rules
        if rule.check is None
    )


def build_request(completion: Completion, spec: VerificationSpec, questions: tuple[Question, ...]) -> ChoiceRequest:
    """All questions about one completion, whose conversation the prompt shows as {conversation}."""

    def shown(max_chars: int) -> Messages:
        conversation = render_conversation(completion, max_chars, spec.completion_view).text
        return spec.prompt.render({"conversation": conversation}, {"choices": describe_choices(spec.choices)})

    return ChoiceRequest(
        request_id=completion.completion_id,
        stage="verification",
        messages=shown(spec.max_conversation_chars),
        questions=questions,
        choices=spec.choices,
        prompt_sha256=spec.prompt_sha256,
        align=spec.prefix_block,
        shorten=shown,
    )


def read_verdict(
    completion_id: str,
    rule: Rule,
    result: ChoiceProbabilities | Failure,
    spec: VerificationSpec,
    trimmed: bool = False,
) -> Verdict:
    """The verdict on one rule; without one (`verdict` is None) when the verifier failed or its mass is too small.

    `trimmed`: text was taken out of the conversation before it was sent.
    """
    if isinstance(result, Failure):
        return failed_verdict(completion_id, rule, result, trimmed)
    p = result.probabilities
    yes, no, not_applicable = p["Yes"], p["No"], p.get("N/A")
    mass = result.mass
    p_yes = yes / (yes + no) if yes + no > 0 else None
    label: VerdictLabel | None
    failure = None
    is_na = not_applicable is not None and not_applicable > max(yes, no)
    if (p_yes is None and not is_na) or (result.complete and mass < spec.mass_floor):
        label = None
        message = f"the choices have a probability of {mass:.3g} together, below the floor of {spec.mass_floor}"
        failure = Failure(stage="verification", kind="parse", item_id=completion_id, message=message)
    elif is_na or p_yes is None:
        label = "not_applicable"
    else:
        label = "yes" if p_yes >= (spec.threshold if rule.threshold is None else rule.threshold) else "no"
    return Verdict(
        completion_id=completion_id,
        rule_id=rule.rule_id,
        verdict=label,
        p_yes=p_yes,
        p_not_applicable=not_applicable,
        mass=mass if result.complete else None,
        trimmed=trimmed or result.trimmed,
        failure=failure,
    )


def check_by_code(completion: Completion, rule: Rule, spec: VerificationSpec) -> Verdict:
    """The verdict on a rule with a code check. One that can't be computed is unscored."""
    assert rule.check is not None
    turns = final_view(completion.completion) if spec.completion_view == "final" else completion.completion
    text = "\n\n".join(turn.content for turn in turns if turn.role == "assistant")
    try:
        satisfied = holds(rule.check, text)
    except AutoruleError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a checking package trips over is this rule's failure alone
        message = f"the check {rule.check.kind} failed: {type(error).__name__}: {in_words(error)}"
        failure = Failure(stage="verification", kind="parse", message=message, item_id=completion.completion_id)
        return failed_verdict(completion.completion_id, rule, failure)
    return Verdict(
        completion_id=completion.completion_id,
        rule_id=rule.rule_id,
        verdict="yes" if satisfied else "no",
        p_yes=float(satisfied),
    )


def turned(verdict: Verdict, rule: Rule) -> Verdict:
    """The verdict on an inverted rule from that on its text; N/A and unscored stay what they are."""
    if not rule.inverted:
        return verdict
    label: VerdictLabel | None = {"yes": "no", "no": "yes"}.get(verdict.verdict or "", verdict.verdict)  # type: ignore[assignment]
    p_yes = None if verdict.p_yes is None else 1 - verdict.p_yes
    return verdict.model_copy(update={"verdict": label, "p_yes": p_yes})


def failed_verdict(completion_id: str, rule: Rule, failure: Failure, trimmed: bool = False) -> Verdict:
    return Verdict(completion_id=completion_id, rule_id=rule.rule_id, verdict=None, trimmed=trimmed, failure=failure)
