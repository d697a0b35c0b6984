"""A completion as the verifier sees it: its conversation as fenced turns, cut in the middle when it is too long."""

from autorule.backends.base import split_thinking
from autorule.config.stages import CompletionView
from autorule.prompting import Trimmed, fence_for, trim_middle
from autorule.records import Completion, Messages

ROLE_LABELS = {"system": "System", "user": "User", "assistant": "Assistant", "tool": "Tool"}


def render_conversation(completion: Completion, max_chars: int, view: CompletionView = "final") -> Trimmed:
    """The prompt and the completion as turns, each fenced, so that no text can pass for a turn of its own.

    `view` final leaves out the thinking of the completion (a <think> block before the answer); full shows it. Beyond
    `max_chars` characters, the longest turns lose their middle.
    """
    turns = (*completion.prompt, *(final_view(completion.completion) if view == "final" else completion.completion))
    limit = longest_allowed([len(turn.content) for turn in turns], max_chars)
    contents = [trim_middle(turn.content, limit) for turn in turns]
    fence = fence_for(content.text for content in contents)
    shown = (
        f"{ROLE_LABELS[turn.role]}:\n{fence}\n{content.text}\n{fence}"
        for turn, content in zip(turns, contents, strict=True)
    )
    return Trimmed("\n\n".join(shown), any(content.trimmed for content in contents))


def final_view(completion: Messages) -> Messages:
    """The completion without its thinking. One whose thinking never ended has an empty answer."""
    return tuple(
        turn.model_copy(update={"content": split_thinking(turn.content)[1]}) if turn.role == "assistant" else turn
        for turn in completion
    )


def longest_allowed(lengths: list[int], total: int) -> int:
    """The cap on each length with which all of them together come to at most `total`."""
    remaining = total
    for n_left, length in zip(range(len(lengths), 0, -1), sorted(lengths), strict=True):
        if length * n_left > remaining:
            return remaining // n_left
        remaining -= length
    return max(lengths, default=0)
