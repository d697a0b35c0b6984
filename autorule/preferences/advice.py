"""How a file can be read that has pairs of no known layout, as far as its columns show."""

import re
from collections.abc import Collection

BY_ROWS = "write a row for each pair, with prompt, chosen and rejected"
BY_ROWS_WITH_WINNER = "write a row for each pair, with prompt, response_a, response_b and winner (a, b or tie)"
ADVICE = (
    (
        {"response_0", "response_1", "better_response_id"},
        "say which winner counts, such as --columns winner=better_response_id --winner-values a=0,b=1",
    ),
    (
        {"response_0", "response_1", "safer_response_id"},
        "say that it counts: --columns winner=safer_response_id --winner-values a=0,b=1",
    ),
    ({"prompt", "answers"}, f"answers are lists, in which some may rank alike: {BY_ROWS}"),
    ({"instruction", "completions"}, f"completions are lists, in which some may rank alike: {BY_ROWS}"),
    ({"candidates"}, f"candidates are lists, in which some may rank alike: {BY_ROWS}"),
    (
        {"summaries", "choice"},
        f"summaries are lists of two, and choice is the place of the better: {BY_ROWS_WITH_WINNER}",
    ),
    (
        {"completion", "label"},
        f"each row holds one completion and whether it is wanted: {BY_ROWS}, of a wanted and an unwanted completion of "
        "one prompt",
    ),
    ({"prompt", "response", "helpfulness"}, f"each row holds one rated response: {BY_ROWS}"),
)  # fmt: skip
"""Columns of other public sets -> what to do."""
PREFERRED = re.compile(r"chosen|accepted|preferred|better|winning", re.IGNORECASE)
OTHERS = {"chosen": "rejected", "accepted": "rejected", "preferred": "rejected", "better": "worse", "winning": "losing"}
NUMBERED = re.compile(r"(.*[a-z_.-])([01aA])", re.DOTALL)
NEXT = {"0": "1", "1": "2", "a": "b", "A": "B"}
WITH_WINNER = re.compile(r"winner|preference|preferred|choice|label|better|verdict", re.IGNORECASE)
WITH_PROMPT = ("prompt", "question", "instruction", "input", "query", "post", "context")
NO_RESPONSE = re.compile(r"score|rating|model|reward|quotes|tokens|id\b", re.IGNORECASE)


def advice(names: Collection[str]) -> str:
    """What to write, with the names of the columns where they show what they hold. One that says which of two responses
    won reads every second row the wrong way where one of them is named as chosen."""
    has = set(names)
    known = next((text for columns, text in ADVICE if columns <= has), None)
    if known is not None:
        return known
    prompt = next((name for name in WITH_PROMPT if name in has), "NAME")
    winner = next((name for name in names if WITH_WINNER.search(name)), "NAME")
    if found := _chosen(names):
        return f"map columns with {_by_side(*found, prompt)}"
    if found := _numbered(names):
        return f"map columns with {_by_winner(*found, winner, prompt)}"
    return (
        f"map columns with {_by_side('NAME', 'NAME', 'NAME')}, or, where a column says which of two won, with "
        f"{_by_winner('NAME', 'NAME', 'NAME', 'NAME')}"
    )


def _by_side(chosen: str, rejected: str, prompt: str) -> str:
    return f"--columns chosen={chosen},rejected={rejected},prompt={prompt}"


def _by_winner(first: str, second: str, winner: str, prompt: str) -> str:
    columns = f"response_a={first},response_b={second},winner={winner},prompt={prompt}"
    return f"--columns {columns} --winner-values a=VALUE,b=VALUE"


def _chosen(names: Collection[str]) -> tuple[str, str] | None:
    for name in names:
        if (found := PREFERRED.search(name)) and not NO_RESPONSE.search(name):
            other = name[: found.start()] + OTHERS[found.group().lower()] + name[found.end() :]
            if other in names:
                return name, other
    return None


def _numbered(names: Collection[str]) -> tuple[str, str] | None:
    """The first two columns whose names differ only in 1 and 2, 0 and 1, or a and b."""
    for name in names:
        if (found := NUMBERED.fullmatch(name)) and not NO_RESPONSE.search(name):
            other = found[1] + NEXT[found[2]]
            if other in names:
                return name, other
    return None
