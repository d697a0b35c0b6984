"""Generated inputs, and a merger that answers at once. Everything is a function of a number: the same in every run."""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

from autorule.backends.base import GenerateRequest
from autorule.backends.scripted import ScriptedBackend
from autorule.records import CandidateRule, ModelOutput, Usage, content_id

CHARS_PER_TOKEN = 4
"""A rough figure for English text."""
N_THEMES = 40
ONE_OFF_SHARE = 0.2
"""Candidates that belong to no theme."""

WORDS = [
    "river",
    "letter",
    "market",
    "engine",
    "window",
    "garden",
    "teacher",
    "answer",
    "copper",
    "village",
    "signal",
    "paper",
    "winter",
    "island",
    "battery",
    "number",
    "mirror",
    "harbour",
    "lesson",
    "pocket",
    "station",
    "bridge",
    "candle",
    "summer",
    "forest",
    "doctor",
    "ticket",
    "basket",
    "orange",
    "kitchen",
    "silver",
    "recipe",
    "planet",
    "carpet",
    "branch",
    "captain",
    "museum",
    "wallet",
    "button",
    "thunder",
    "ladder",
    "pencil",
    "rocket",
    "blanket",
    "shadow",
    "helmet",
    "anchor",
    "violin",
    "tunnel",
    "cotton",
    "farmer",
    "lantern",
    "pepper",
    "valley",
    "marble",
    "saddle",
    "feather",
    "canyon",
    "hammer",
    "needle",
]
OPENINGS = ("The response should", "A response should", "Responses should", "A good response should", "It should")
VERBS = (
    ("state", "name", "say", "put"),
    ("explain", "clarify", "spell out", "make plain"),
    ("avoid", "leave out", "omit", "steer clear of"),
    ("check", "verify", "confirm", "test"),
    ("show", "present", "display", "set out"),
    ("mention", "note", "point to", "bring up"),
    ("keep", "preserve", "retain", "hold to"),
    ("answer", "address", "respond to", "deal with"),
)
ADVERBS = ("clearly", "briefly", "early on", "in full", "with care", "in plain words", "without delay", "at the start")
TAILS = (
    "",
    " where the request asks for it",
    " so that a reader can follow",
    " before anything else",
    " even if it is long",
    " in its own words",
)


def write_pairs(path: Path, n_pairs: int) -> None:
    """A file of preference pairs, each of about 1 KB and different from every other."""
    with path.open("w", encoding="utf-8") as file:
        for i in range(n_pairs):
            draw = random.Random(i)
            row = {
                "id": f"pair-{i}",
                "prompt": f"Request {i}: {_text(draw, 25)}?",
                "chosen": f"{_text(draw, 55)}, which settles number {i}.",
                "rejected": f"{_text(draw, 50)}.",
            }
            file.write(json.dumps(row) + "\n")


def candidates(n_distinct: int) -> Iterator[CandidateRule]:
    """Candidates with `n_distinct` wordings: paraphrases of some tens of themes, and one-offs; a third come twice."""
    draw = random.Random(0)
    seen: set[str] = set()
    while len(seen) < n_distinct:
        text = _rule(draw)
        if text in seen:
            continue
        seen.add(text)
        for copy in range(2 if draw.random() < 1 / 3 else 1):
            source = content_id("benchmark", len(seen), copy)
            yield CandidateRule(
                candidate_id=content_id("candidate", source, text),
                text=text,
                interpretation_id=source,
                pair_id=content_id("pair", source),
            )


def merger() -> ScriptedBackend:
    """Merges every two neighbours of a list into the first of them, at once; tokens are estimated."""

    def merge(request: GenerateRequest) -> ModelOutput:
        shown = request.messages[-1].content
        texts = re.findall(r"^\d+\. (.*)$", shown, re.MULTILINE)
        rules = [
            {"rule": texts[i], "from": [number + 1 for number in range(i, min(i + 2, len(texts)))]}
            for i in range(0, len(texts), 2)
        ]
        text = json.dumps({"rules": rules})
        usage = Usage(
            prompt_tokens=sum(len(message.content) for message in request.messages) // CHARS_PER_TOKEN,
            completion_tokens=len(text) // CHARS_PER_TOKEN,
        )
        return ModelOutput(text=text, finish_reason="stop", usage=usage, model="merger")

    return ScriptedBackend(merge, name="benchmark-merger")


def _rule(draw: random.Random) -> str:
    if draw.random() < ONE_OFF_SHARE:
        verb, subject = draw.choice(draw.choice(VERBS)), " and the ".join(draw.sample(WORDS, 3))
    else:  # the themes fix the subject and the group of verbs, the paraphrase everything else
        theme = random.Random(f"theme {draw.randrange(N_THEMES)}")
        subject, verb = " of the ".join(theme.sample(WORDS, 2)), draw.choice(theme.choice(VERBS))
    adverb = f" {draw.choice(ADVERBS)}" if draw.random() < 0.5 else ""
    return f"{draw.choice(OPENINGS)} {verb} the {subject}{adverb}{draw.choice(TAILS)}."


def _text(draw: random.Random, n_words: int) -> str:
    return " ".join(draw.choices(WORDS, k=n_words)).capitalize()


def judge() -> ScriptedBackend:
    """Answers every question of a verifier at once."""
    return ScriptedBackend(choice_script=lambda request, question: 0.75, name="benchmark-judge")
