"""Which passage of a chain a candidate came from: the sentence, or two in a row, that shares most of its words.

It goes by wording alone and always gives an answer: the score says how far to trust it, and 0 means that no word is
shared.
"""

import re
from collections import Counter
from collections.abc import Mapping
from math import fsum, log
from typing import Literal, NamedTuple

from autorule.records import Record
from autorule.rules.text import words

Part = Literal["chain", "answer"]

CLEARLY_BETTER = 0.2
"""So much more of the candidate must stand in two sentences than in the best single one."""

_BOUNDARY = re.compile(
    r"(?<!\be\.g)(?<!\bi\.e)(?<!\betc)(?<!\bvs)(?<!\bcf)(?<!\b[DM]r)(?<!\bMrs)"
    r"(?<![.!?])[.!?]++[)\]\"'”’*_]*+(?=\s)"
    r"|[。！？]+[」』”’）]*|\n+"
)
# Words that any sentence may have, and those with which nearly every rule begins.
_EMPTY = (
    "a an the and or of to in on for with by at from as is are was were be been being it its this that these those "
    "which who what should must shall will would can could may might do does did has have had response responses "
    "reply replies"
)
_EMPTY_WORDS = frozenset(_EMPTY.split())


class Passage(Record):
    """A piece of an interpretation: its text is `part[start:end]`."""

    part: Part
    """The field of the interpretation in which it stands."""
    start: int
    end: int
    text: str
    score: float
    """Share of the candidate's words that stand in it, rare words of the chain counting more; 0 to 1."""


class Span(NamedTuple):
    start: int
    end: int


def sentences(text: str) -> list[Span]:
    """Where the sentences of a text are, without the white space around them; none for a text of white space.

    A line ends a sentence. A piece without a letter, such as the number of a list item, goes with what follows.
    """
    spans = []
    start = looked_at = 0
    for end in [*(match.end() for match in _BOUNDARY.finditer(text)), len(text)]:
        if any(map(str.isalpha, text[looked_at:end])):  # what was looked at before holds none: it is not read again
            spans.append(_stripped(text, start, end))
            start = end
        looked_at = end
    if not spans and text.strip():
        return [_stripped(text, 0, len(text))]
    return spans


class PassageFinder:
    """A text cut into sentences once, in which the passages of any number of candidates are found."""

    def __init__(self, text: str, part: Part) -> None:
        """`text` must hold more than white space: else there is no sentence to find, and ValueError is raised."""
        self._text = text
        self._part = part
        self._spans = sentences(text)
        if not self._spans:
            raise ValueError(f"the {part} is empty")
        self._terms = [_terms(text[span.start : span.end]) for span in self._spans]
        self._n_sentences_with = Counter(term for terms in self._terms for term in terms)

    def find(self, candidate: str) -> Passage:
        """The sentence that shares most with the candidate, or two in a row if that is clearly better.

        Of equally good ones it is the earliest, so that the answer is always the same.
        """
        weights = {term: self._rarity(term) for term in _terms(candidate)}
        singles = [_share(weights, terms) for terms in self._terms]
        doubles = [_share(weights, one | other) for one, other in zip(self._terms, self._terms[1:], strict=False)]
        first = last = singles.index(max(singles))
        score = singles[first]
        if doubles and max(doubles) >= score + CLEARLY_BETTER:
            score = max(doubles)
            first = doubles.index(score)
            last = first + 1
        start, end = self._spans[first].start, self._spans[last].end
        return Passage(part=self._part, start=start, end=end, text=self._text[start:end], score=round(score, 4))

    def _rarity(self, term: str) -> float:
        return log(1 + len(self._spans) / max(1, self._n_sentences_with[term]))


def _share(weights: Mapping[str, float], found: frozenset[str]) -> float:
    """Which share of the weights belongs to terms that were found."""
    # fsum: the same sum whatever the order of the terms.
    whole = fsum(weights.values())
    return fsum(weights[term] for term in weights.keys() & found) / whole if whole else 0.0


def _stripped(text: str, start: int, end: int) -> Span:
    piece = text[start:end]
    return Span(start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip()))


def _terms(text: str) -> frozenset[str]:
    """What counts of a text: the stems of its words; every two characters of a script without spaces."""
    found = words(text)
    telling = [word for word in found if word not in _EMPTY_WORDS] or found
    return frozenset(term for word in telling for term in _split(word))


def _split(word: str) -> list[str]:
    if any(char >= "\u2e80" for char in word):
        return [word[i : i + 2] for i in range(max(1, len(word) - 1))]
    return [_stem(word)]


def _stem(word: str) -> str:
    """The word without the common endings of English: explains, explained and explaining are one."""
    for ending, instead in (("ies", "y"), ("ing", ""), ("ed", ""), ("ly", ""), ("ss", "ss"), ("s", "")):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)] + instead
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word.endswith("e") else word
