"""A completion as the verifier sees it: its conversation as fenced turns, cut in the middle when it is too long."""

import re

from autorule.backends.base import split_thinking
from autorule.config.stages import CompletionView
from autorule.prompting import Trimmed, fence_for, trim_middle
from autorule.records import Completion, Messages

TURNS_MARK = "[... {n} turns left out here ...]"
BETWEEN = "\n\n"
LONGEST_RUN = 100
LONG_RUN = re.compile(f"`{{{LONGEST_RUN + 1},}}")
ROLE_LABELS = {"system": "System", "user": "User", "assistant": "Assistant", "tool": "Tool"}
LONGEST_LABEL = max(ROLE_LABELS.values(), key=len)


def render_conversation(completion: Completion, max_chars: int, view: CompletionView = "final") -> Trimmed:
    """The prompt and the completion as turns, each fenced, so that no text can pass for a turn of its own.

    `view` final leaves out the thinking of the completion (a <think> block before the answer); full shows it. Beyond
    `max_chars` characters, labels and fences included, the longest turns lose their middle; where labels and fences
    alone would take half of that, the middle turns go. Each is marked where it was.
    """
    turns = (*completion.prompt, *(final_view(completion.completion) if view == "final" else completion.completion))
    contents = [_with_short_fences(turn.content) for turn in turns]
    fence = fence_for(contents)
    whole = BETWEEN.join(
        _fenced(ROLE_LABELS[turn.role], content, fence) for turn, content in zip(turns, contents, strict=True)
    )
    if len(whole) <= max_chars:
        return Trimmed(whole, False)
    n_most = max(2, max_chars // 2 // len(_fenced(LONGEST_LABEL, "", fence) + BETWEEN))
    n_first = n_most // 3 if len(turns) > n_most else len(turns)
    kept = [n for n in range(len(turns)) if n < n_first or n >= len(turns) - (n_most - n_first)]
    labels = [ROLE_LABELS[turns[n].role] for n in kept]
    parts = [_fenced(label, "", fence) for label in labels]
    if left_out := len(turns) - len(kept):
        parts.insert(n_first, TURNS_MARK.format(n=left_out))
    limit = longest_allowed([len(contents[n]) for n in kept], max_chars - len(BETWEEN.join(parts)))
    trimmed = [trim_middle(contents[n], limit) for n in kept]
    shown = [_fenced(label, content.text, fence) for label, content in zip(labels, trimmed, strict=True)]
    if left_out:
        shown.insert(n_first, parts[n_first])
    return Trimmed(BETWEEN.join(shown), left_out > 0 or any(content.trimmed for content in trimmed))


def _fenced(label: str, text: str, fence: str) -> str:
    return f"{label}:\n{fence}\n{text}\n{fence}"


def _with_short_fences(text: str) -> str:
    """The text, with a break in runs of backticks that would make a fence as long as the text."""
    return LONG_RUN.sub(lambda run: "\u200b".join(re.findall(f"`{{1,{LONGEST_RUN}}}", run[0])), text)


def final_view(completion: Messages) -> Messages:
    """The completion without its thinking. One whose thinking never ended has an empty answer."""
    return tuple(
        turn.model_copy(update={"content": split_thinking(turn.content)[1]}) if turn.role == "assistant" else turn
        for turn in completion
    )


def longest_allowed(lengths: list[int], total: int) -> int:
    """The cap on each length with which all of them together come to at most `total`; 0 where that is nothing."""
    remaining = max(0, total)
    for n_left, length in zip(range(len(lengths), 0, -1), sorted(lengths), strict=True):
        if length * n_left > remaining:
            return remaining // n_left
        remaining -= length
    return max(lengths, default=0)
