"""IFEval (Zhou et al., arXiv 2311.07911): responses with the official verdict on each instruction.

A response row has `prompt`, `response`, `rules` (instruction ids) and `rule_followed`; the prompt rows have the
arguments of each instruction, from which the text of the rule is made.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from autorule.errors import InputError
from autorule.preferences.readers import BadRow, read_rows
from autorule.records import Message
from autorule.verification.labels.rows import Label, as_satisfied, labelled_completion

Arguments = dict[str, Any]
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
    "keywords:existence": lambda k: f"The response should contain the words {', '.join(k['keywords'])}.",
    "keywords:forbidden_words": lambda k: (
        f"The response should not contain the words {', '.join(k['forbidden_words'])}."
    ),
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
    arguments = {}
    for row in read_rows(prompts):
        if not isinstance(row, BadRow):
            arguments[row.values["key"]] = row.values["kwargs"]
    for row in read_rows(responses):
        if isinstance(row, BadRow):
            raise InputError(f"{responses}, row {row.number}: {row.reason.message}")
        values = row.values
        if values.get("key") not in arguments:
            raise InputError(f"{responses}, row {row.number}: key {values.get('key')!r} is not in {prompts}")
        prompt = (Message(role="user", content=values["prompt"]),)
        completion = labelled_completion(row.number, values.get("id"), prompt, values["response"])
        triples = zip(values["rules"], arguments[values["key"]], values["rule_followed"], strict=True)
        for instruction, given, followed in triples:
            if instruction not in RULES:
                raise InputError(f"{responses}, row {row.number}: unknown instruction {instruction!r}")
            try:
                text = RULES[instruction](given)
            except KeyError as error:
                shown = json.dumps(given)
                raise InputError(f"{prompts}: {instruction} needs {error.args[0]!r}, found {shown}") from error
            yield Label(completion, text, as_satisfied(responses, row.number, followed), instruction)
