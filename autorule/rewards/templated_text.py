"""Turns out of text that a chat template wrote, for trainers that hand over nothing else."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, get_args

from autorule.errors import ConfigError
from autorule.preferences.messages import ROLE_NAMES
from autorule.preferences.sequences import as_list, plain
from autorule.records import Role
from autorule.rewards.reward_function import RuleReward
from autorule.rewards.scored import Scored

_ENDS = (
    "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>", "</s>",
    "<｜end▁of▁sentence｜>",
)  # fmt: skip
_BEGIN = re.compile(r"(?:\s|<s>|<bos>|<\|begin_of_text\|>|<\|endoftext\|>)*+")
_BETWEEN = re.compile(rf"(?:\s|<pad>|{'|'.join(map(re.escape, _ENDS))})*+")
"""What a template writes after the end of a turn."""
_ANY = r"([^\n<]{1,80}+)"
"""Any role: what it means, and whether it is one, is for who reads the messages."""
_KNOWN = rf"<\|({'|'.join([*get_args(Role), *ROLE_NAMES])})\|>"
"""Phi and Zephyr write roles as they write other markers."""


class _Template(NamedTuple):
    opening: re.Pattern[str]
    end: re.Pattern[str]
    mark: re.Pattern[str]
    """One of both; an opening has the role as its first group."""


def _template(opening: str, end: str) -> _Template:
    return _Template(re.compile(opening), re.compile(end), re.compile(f"{opening}|{end}"))


_TEMPLATES = (
    _template(rf"<\|im_start\|>{_ANY}(?:\n|<\|im_sep\|>|\Z)", r"<\|im_end\|>"),  # ChatML: Qwen, SmolLM; Phi 4
    _template(rf"<\|start_header_id\|>{_ANY}<\|end_header_id\|>", r"<\|eo[tm]_id\|>"),  # Llama 3
    _template(rf"<start_of_turn>{_ANY}(?:\n|\Z)", r"<end_of_turn>"),  # Gemma
    _template(rf"{_KNOWN}(?:\n|\Z)", rf"<\|end\|>|</s>|(?={_KNOWN}(?:\n|\Z))"),  # Phi, Zephyr
)
_OPENING = re.compile(r"(?:<think>\s*(?:</think>)?)?")
"""What a template may write of an answer before the model does."""


def turns_of(prompt: str) -> list[dict[str, str]] | str:
    """The turns of a templated prompt (ChatML, Llama 3, Gemma, Phi and Zephyr), without the opening of the answer; the
    text as it is where it does not begin with a template's marker."""
    begin = _BEGIN.match(prompt)
    start = begin.end() if begin else 0
    for template in _TEMPLATES:
        if not template.opening.match(prompt, start):
            continue
        turns = [{"role": role, "content": content} for role, content in _split(prompt, start, template)]
        if len(turns) > 1 and turns[-1]["role"] == "assistant" and _OPENING.fullmatch(turns[-1]["content"]):
            turns.pop()
        return turns
    return prompt


def _split(text: str, at: int, template: _Template) -> Iterator[tuple[str, str]]:
    """(role, content) of each turn from the opening at `at` on. What stands after the end of a turn and opens none is
    part of it: no text is left out."""
    opening = template.opening.match(text, at)
    while opening:
        end = template.end.search(text, opening.end())
        parts = [text[opening.end() : end.start() if end else None].strip()]
        at, role, opening = end.end() if end else len(text), opening[1].strip(), None
        while at < len(text) and opening is None:
            mark = template.mark.search(text, at)
            stray = text[at : mark.start() if mark else None]
            if not _BETWEEN.fullmatch(stray):
                parts.append(stray.strip())
            at = mark.end() if mark else len(text)
            opening = mark if mark and mark[1] is not None else None
        yield ROLE_NAMES.get(role, role), "\n".join(parts)


def response_of(text: str) -> str:
    """The response without the end-of-turn tokens after it; what stands inside it stays."""
    while (stripped := text.rstrip()).endswith(_ENDS):
        text = next(stripped.removesuffix(end) for end in _ENDS if stripped.endswith(end))
    return text


def split_whole_text(text: str) -> tuple[list[dict[str, str]], str]:
    """(turns of the prompt, response) of a whole templated conversation. Raises ConfigError when it is none."""
    turns = turns_of(text)
    if isinstance(turns, str) or turns[-1]["role"] != "assistant" or len(turns) < 2:
        raise ConfigError(
            f"the text {text[:60]!r} is no templated conversation (ChatML, Llama 3, Gemma, Phi, Zephyr) that ends with "
            "the turn of an assistant"
        )
    return turns[:-1], turns[-1]["content"]


def openrlhf_items(
    queries: Sequence[str], prompts: Sequence[str], labels: Sequence[Any]
) -> list[tuple[Any, str, dict[str, Any]]]:
    """(prompt, response, columns) of each of OpenRLHF's whole texts, with its templated prompt and its label.

    A label that is an object holds columns, and perhaps the prompt. Raises ConfigError when a text does not begin with
    its prompt or the lists differ in length.
    """
    labels = as_list(labels) or [None] * len(queries)
    if not len(queries) == len(prompts) == len(labels):
        raise ConfigError(f"{len(queries)} texts, {len(prompts)} prompts, {len(labels)} labels")
    items: list[tuple[Any, str, dict[str, Any]]] = []
    for query, prompt, label in zip(queries, prompts, labels, strict=True):
        if not query.startswith(prompt):
            raise ConfigError(f"the text {query[:60]!r} does not begin with its prompt {prompt[:60]!r}")
        columns = dict(label) if isinstance(label, dict) else {}
        shown = plain(columns.pop("prompt", None)) or turns_of(prompt)
        items.append((shown, response_of(query[len(prompt) :]), columns))
    return items


def openrlhf_answer(reward: RuleReward, scored: Sequence[Scored]) -> dict[str, Any]:
    """`rewards` for the advantages, `scores` (the fraction, 0 to 1) for OpenRLHF's dynamic filter, `extra_logs`.

    Raises UnscoredError for a completion without a number.
    """
    metrics = [reward.metrics([one]) for one in scored]
    return {
        "rewards": [reward.number(one) for one in scored],
        "scores": [one.rules.fraction if one.rules.fraction is not None else reward.number(one) for one in scored],
        "extra_logs": {name: [values[name] for values in metrics] for name in metrics[0]} if metrics else {},
    }


def openrlhf_scores(
    reward: RuleReward, queries: Sequence[str], prompts: Sequence[str], labels: Sequence[Any]
) -> dict[str, Any]:
    """OpenRLHF's call of a local function. Raises as `openrlhf_items` and `openrlhf_answer` do."""
    items = openrlhf_items(queries, prompts, labels)
    names = dict.fromkeys(name for _, _, columns in items for name in columns)
    columns = {name: [own.get(name) for _, _, own in items] for name in names}
    scored = reward.score([prompt for prompt, _, _ in items], [response for _, response, _ in items], columns)
    return openrlhf_answer(reward, scored)
