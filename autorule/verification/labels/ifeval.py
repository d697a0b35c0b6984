"""IFEval (Zhou et al., arXiv 2311.07911): responses with the official verdict on each instruction.

A response row has `prompt`, `response`, `rules` (instruction ids) and `rule_followed`; the prompt rows have the
arguments of each instruction, from which the text of the rule is made.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from autorule.errors import in_words
from autorule.preferences.readers import Row
from autorule.preferences.showing import shown
from autorule.verification.labels.rows import (
    Label,
    as_satisfied,
    completion_of,
    fault,
    label_list,
    whole_rows,
    writable_text,
)

Arguments = dict[str, Any]


def _words(value: Any) -> str:
    """Raises TypeError for what is no list of words: the letters of a text are none."""
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise TypeError(f"a list of words, found {shown(value)}")
    return ", ".join(value)


RULES: dict[str, Callable[[Arguments], str]] = {
    "punctuation:no_comma": lambda k: "The response should contain no comma.",
    "detectable_format:number_highlighted_sections": lambda k: (
        f"The response should highlight at least {k['num_highlights']} sections with markdown, as in *this*."
    ),
    "length_constraints:number_words": lambda k: f"The response should have {k['relation']} {k['num_words']} words.",
    "length_constraints:number_sentences": lambda k: (
        f"The response should have {k['relation']} {k['num_sentences']} sentences."
    ),
    "length_constraints:number_paragraphs": lambda k: (
        f"The response should have {k['num_paragraphs']} paragraphs, divided by ***."
    ),
    "length_constraints:nth_paragraph_first_word": lambda k: (
        f"The response should have {k['num_paragraphs']} paragraphs, and paragraph {k['nth_paragraph']} should begin "
        f"with the word {k['first_word']!r}."
    ),
    "detectable_content:number_placeholders": lambda k: (
        f"The response should contain at least {k['num_placeholders']} placeholders in square brackets, as in [name]."
    ),
    "detectable_content:postscript": lambda k: (
        f"The response should end with a postscript that begins with {k['postscript_marker']}"
    ),
    "combination:repeat_prompt": lambda k: (
        f"The response should first repeat this request word for word, before it answers: {k['prompt_to_repeat']}"
    ),
    "combination:two_responses": lambda k: (
        "The response should give two different answers, divided by six asterisks (******)."
    ),
    "detectable_format:title": lambda k: (
        "The response should have a title in double angular brackets, as in <<title>>."
    ),
    "detectable_format:number_bullet_lists": lambda k: (
        f"The response should contain exactly {k['num_bullets']} bullet points in markdown."
    ),
    "detectable_format:multiple_sections": lambda k: (
        f"The response should have {k['num_sections']} sections, each headed {k['section_spliter']} and its number."
    ),
    "detectable_format:json_format": lambda k: "The whole response should be JSON.",
    "detectable_format:constrained_response": lambda k: (
        "The response should be one of: 'My answer is yes.', 'My answer is no.', 'My answer is maybe.'"
    ),
    "change_case:english_lowercase": lambda k: "The response should be in English, all in lower case.",
    "change_case:english_capital": lambda k: "The response should be in English, all in capital letters.",
    "change_case:capital_word_frequency": lambda k: (
        f"The response should have {k['capital_relation']} {k['capital_frequency']} words all in capital letters."
    ),
    "startend:quotation": lambda k: "The whole response should stand in double quotation marks.",
    "startend:end_checker": lambda k: f"The response should end with exactly this phrase: {k['end_phrase']}",
    "keywords:existence": lambda k: f"The response should contain the words {_words(k['keywords'])}.",
    "keywords:forbidden_words": lambda k: f"The response should not contain the words {_words(k['forbidden_words'])}.",
    "keywords:frequency": lambda k: (
        f"The response should contain the word {k['keyword']!r} {k['relation']} {k['frequency']} times."
    ),
    "keywords:letter_frequency": lambda k: (
        f"The response should contain the letter {k['letter']!r} {k['let_relation']} {k['let_frequency']} times."
    ),
    "language:response_language": lambda k: (
        f"The response should be written only in the language with the code {k['language']!r}."
    ),
}


def read_ifeval(responses: Path, prompts: Path) -> Iterator[Label]:
    """One label for each response and instruction. Raises InputError that names file, row and value."""
    arguments: dict[int | float | str, Row] = {}
    for row in whole_rows(prompts):
        key = _key(prompts, row)
        label_list(prompts, row, "kwargs")
        before = arguments.setdefault(key, row)
        if before.values["kwargs"] != row.values["kwargs"]:
            raise fault(prompts, row.number, f"key {shown(key)} is that of row {before.number} too, with other kwargs")
    for row in whole_rows(responses):
        key = _key(responses, row)
        if key not in arguments:
            raise fault(responses, row.number, f"key {shown(key)} is not in {prompts}; give the file that has it")
        completion = completion_of(responses, row, "prompt")
        told = label_list(responses, row, "rules"), label_list(responses, row, "rule_followed")
        given = arguments[key].values["kwargs"]
        if len({len(given), *map(len, told)}) > 1:
            raise fault(
                responses,
                row.number,
                f"{len(told[0])} rules, {len(told[1])} of rule_followed and {len(given)} kwargs in {prompts}, row "
                f"{arguments[key].number}: give as many of each",
            )
        for instruction, followed, its in zip(*told, given, strict=True):
            if not isinstance(instruction, str) or instruction not in RULES:
                raise fault(responses, row.number, f"unknown instruction {shown(instruction)}; leave its row out")
            text = _rule(prompts, arguments[key].number, instruction, its)
            yield Label(completion, text, as_satisfied(responses, row.number, followed, "rule_followed"), instruction)


def _key(path: Path, row: Row) -> int | float | str:
    key = row.values.get("key")
    if isinstance(key, bool) or not isinstance(key, (int, float, str)) or key != key:
        told = "is missing" if key is None else f"is {shown(key)}"
        raise fault(path, row.number, f"key {told}; give each prompt a number or a text, and its responses the same")
    return key


def _rule(prompts: Path, number: int, instruction: str, given: Any) -> str:
    """The text of the rule. Tables have null for the arguments of other instructions."""
    if not isinstance(given, dict):
        raise fault(prompts, number, f"kwargs of {instruction} are {shown(given)}; give an object")
    try:
        text = RULES[instruction]({name: value for name, value in given.items() if value is not None})
    except KeyError as error:
        raise fault(prompts, number, f"{instruction} needs {error.args[0]!r}, found {shown(given)}") from None
    except TypeError as error:
        raise fault(prompts, number, f"{instruction} needs {in_words(error)}") from None
    return writable_text(prompts, number, "kwargs", text)
