"""Reading long texts of models and users takes steps that grow with the text; a quadratic reader would take minutes."""

import pytest

from autorule.extraction.chain_check import mask_sides
from autorule.rules.length import n_chars, n_words
from autorule.rules.linting import lint_rule
from autorule.rules.passages import PassageFinder, sentences
from autorule.rules.wording import are_opposed, wording

N = 200_000
TEXTS = {
    "full stops": "." * N + "x",
    "marks": "!?" * (N // 2) + "x",
    "spaced stops": ". " * (N // 2) + "x",
    "numbers of a list": "1. " * (N // 3) + "x",
    "stars": "." + "*" * N + "x",
    "lines": "\n" * N + "x",
    "spaces": "A" + " " * N + "x",
    "and": "and " * (N // 4),
    "quotes": "“" * N,
    "apostrophes": " '" * (N // 2),
    "digits": "1." * (N // 2),
    "names": " Ab'" * (N // 4),
    "dashes": " A" + "-" * N,
    "good": "good " * (N // 5) + "x",
    "one word": "a" * N,
    "Chinese": "回" * N,
    "signs": "<" * N,
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_long_text_is_read_once(name):
    text = TEXTS[name]
    assert sentences(text) and PassageFinder(text, "chain").find("A rule with words in it.")
    assert "too_long" in lint_rule(text, "", 300, text)
    assert mask_sides(text) is not None and n_words(text) >= 0 and n_chars(text) >= len(text)
    assert wording(text) == wording(text + "!") and not are_opposed(text, text + "!")


def test_sentences_are_cut_as_before():
    text = "1. It is short.) Wait... what?! e.g. this. Done。好。\nLast"
    assert [text[span.start : span.end] for span in sentences(text)] == [
        "1. It is short.)", "Wait...", "what?!", "e.g. this.", "Done。", "好。", "Last",
    ]  # fmt: skip
