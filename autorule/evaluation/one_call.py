"""The baseline without rules: the verifier is asked once about both responses, which one people would prefer.

Both orders are asked, since models lean towards a position (Zheng et al. 2023, arXiv 2306.05685, section 3.3).
"""

from collections.abc import Callable, Iterator, Sequence

from autorule.backends.base import Backend, ChoiceRequest, Question
from autorule.prompting import fence_for, load_prompt, trim_middle
from autorule.records import Completion, Failure, Messages, Record
from autorule.verification.conversation import ROLE_LABELS, final_view, longest_allowed

PROMPT = "one_call"
CHOICES = ("A", "B")


class OneCall(Record):
    """Probability of the response shown first and preferred by people, in either order; None where it has none."""

    first: float | None = None
    """P(chosen) where the chosen one was shown first."""
    second: float | None = None
    """P(chosen) where it was shown second."""


def one_call(
    sides: Sequence[tuple[Completion, Completion]],
    backend: Backend,
    max_chars: int,
    answered: Callable[[], None] = lambda: None,
) -> tuple[list[OneCall], list[Failure]]:
    """For each (chosen, rejected) the probabilities in both orders, and what failed.

    `max_chars`: of the conversation that is shown; the longest texts lose their middle. `answered` is called after each
    answer: there are two for each pair.
    """
    found: list[dict[str, float]] = [{} for _ in sides]
    failures = []
    for request, _, result in backend.score_choices(list(_requests(sides, max_chars))):
        answered()
        index, _, order = request.request_id.partition(":")
        chosen, other = ("A", "B") if order == "first" else ("B", "A")
        if isinstance(result, Failure):
            failures.append(result.model_copy(update={"item_id": sides[int(index)][0].pair_id or ""}))
        elif (total := result.probabilities[chosen] + result.probabilities[other]) > 0:
            found[int(index)][order] = result.probabilities[chosen] / total
    return [OneCall(**one) for one in found], failures


def _requests(sides: Sequence[tuple[Completion, Completion]], max_chars: int) -> Iterator[ChoiceRequest]:
    prompt = load_prompt(PROMPT)
    question = Question("preferred", prompt.render_question({}, {"choices": " or ".join(CHOICES)}))
    for index, (chosen, rejected) in enumerate(sides):
        for order, pair in (("first", (chosen, rejected)), ("second", (rejected, chosen))):

            def shown(limit: int, pair: tuple[Completion, Completion] = pair) -> Messages:
                return prompt.render({"conversation": _conversation(*pair, limit)})

            yield ChoiceRequest(
                request_id=f"{index}:{order}",
                stage="evaluation",
                messages=shown(max_chars),
                questions=(question,),
                choices=CHOICES,
                prompt_sha256=prompt.sha256,
                shorten=shown,
            )


def _conversation(first: Completion, second: Completion, max_chars: int) -> str:
    """The prompt, then both responses, each text in a fence that none of them can close."""
    parts = [(ROLE_LABELS[turn.role], turn.content) for turn in first.prompt]
    parts += [("Response A", _text(first)), ("Response B", _text(second))]
    limit = longest_allowed([len(text) for _, text in parts], max_chars)
    shown = [(name, trim_middle(text, limit).text) for name, text in parts]
    fence = fence_for(text for _, text in shown)
    return "\n\n".join(f"{name}:\n{fence}\n{text}\n{fence}" for name, text in shown)


def _text(completion: Completion) -> str:
    return "\n\n".join(turn.content for turn in final_view(completion.completion) if turn.role == "assistant")
