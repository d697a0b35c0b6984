"""Stage 1: why was one response preferred? Builds the request for a pair and reads the reasoning chain.

AutoRule (arXiv 2506.15651), stage 1. Which response is shown as A is drawn from the seed and the pair id, never from
the label: swapping chosen and rejected in the input changes what the model sees only where it names the winner.
"""

from typing import Any

from autorule.backends.answer_text import is_refusal
from autorule.backends.base import GenerateRequest
from autorule.config.stages import InterpretationConfig
from autorule.errors import ParseError
from autorule.preferences.sampling import draw
from autorule.prompting import Prompt, fence_for, render_messages, trim_middle
from autorule.records import Interpretation, Messages, ModelOutput, Order, PreferencePair, content_id
from autorule.rules.length import n_chars

MIN_CHAIN_CHARS = 20
"""In letters of English: a sentence of seven Chinese characters explains something."""


def shown_order(pair: PreferencePair, seed: int) -> Order:
    """The order in which the pair is shown: by seed and pair id among the two responses, whatever the label."""
    lesser_first = draw(seed, "order", pair.pair_id) % 2 == 0
    chosen_is_lesser = _sort_key(pair.chosen) < _sort_key(pair.rejected)
    return "chosen_first" if lesser_first == chosen_is_lesser else "rejected_first"


def orders_to_ask(pair: PreferencePair, seed: int, both_orders: bool) -> tuple[Order, ...]:
    """The drawn order, and the other one after it when both are asked for."""
    first = shown_order(pair, seed)
    other: Order = "rejected_first" if first == "chosen_first" else "chosen_first"
    return (first, other) if both_orders else (first,)


def build_request(
    pair: PreferencePair, prompt: Prompt, config: InterpretationConfig, order: Order, sample_index: int = 0
) -> GenerateRequest:
    """The question about one pair. `prompt` shows {prompt}, {response_a}, {response_b} and {preferred} (A or B)."""
    first, second = _in_order(pair, order)
    conversation = render_messages(pair.prompt)
    response_a = trim_middle(render_messages(first), config.max_response_chars).text
    response_b = trim_middle(render_messages(second), config.max_response_chars).text
    values = {
        "prompt": conversation,
        "response_a": response_a,
        "response_b": response_b,
        "preferred": "A" if order == "chosen_first" else "B",
    }
    return GenerateRequest(
        request_id=interpretation_id(pair, order, sample_index),
        stage="interpretation",
        messages=prompt.render(values, optional={"fence": fence_for([conversation, response_a, response_b])}),
        sampling=config.sampling,
        sample_index=sample_index,
        prompt_sha256=prompt.sha256,
    )


def parse_interpretation(
    pair: PreferencePair, request: GenerateRequest, output: ModelOutput, config: InterpretationConfig, order: Order
) -> Interpretation:
    """The chain of one answer: the model's thinking where it shows any, else the answer itself.

    A chain cut off by the token limit is kept and marked. Raises ParseError when there is no chain to speak of.
    """
    begun = request.messages[-1].content + " " if request.messages[-1].role == "assistant" else ""
    answer = (begun + output.text.strip()) if output.text.strip() else ""
    if output.finish_reason == "content_filter" or (not output.reasoning and is_refusal(output.text)):
        raise ParseError("the model declined to explain")
    chain = output.reasoning or answer
    if n_chars(chain.strip()) - n_chars(begun) < MIN_CHAIN_CHARS:
        raise ParseError(f"the answer holds no explanation: {output.text[:80]!r}")
    longest = max(len(render_messages(response)) for response in (pair.chosen, pair.rejected))
    return Interpretation(
        interpretation_id=request.request_id,
        pair_id=pair.pair_id,
        row=pair.row,
        order=order,
        sample_index=request.sample_index,
        chain=chain,
        answer=answer,
        chain_source=output.reasoning_source or "answer",
        truncated=output.finish_reason == "length",
        trimmed=longest > config.max_response_chars,
        model=output.model,
        usage=output.usage,
        prompt_sha256=request.prompt_sha256,
    )


def given_interpretation(pair: PreferencePair) -> Interpretation:
    """The interpretation of a pair that brought its reasoning chain along."""
    assert pair.reasoning is not None
    return Interpretation(
        interpretation_id=content_id("given", *_labelled(pair), pair.given_order, pair.reasoning),
        pair_id=pair.pair_id,
        row=pair.row,
        order=pair.given_order,
        chain=pair.reasoning,
        answer=pair.explanation or "",
        chain_source="given",
    )


def interpretation_id(pair: PreferencePair, order: Order, sample_index: int) -> str:
    """Hash of pair, label, order and sample: one pair may come twice, even with both labels, and as a tie too."""
    return content_id("interpretation", *_labelled(pair), order, sample_index)


def _labelled(pair: PreferencePair) -> list[Any]:
    return [pair.pair_id, _sort_key(pair.chosen), *(["tie"] if pair.tie else [])]


def _in_order(pair: PreferencePair, order: Order) -> tuple[Messages, Messages]:
    return (pair.chosen, pair.rejected) if order == "chosen_first" else (pair.rejected, pair.chosen)


def _sort_key(messages: Messages) -> list[list[str]]:
    return [[message.role, message.content] for message in messages]
