"""RBR gold data (Mu et al., arXiv 2411.01111): human answers to propositions about each response.

A row has `prompt_messages`, `response` and `rules` (name of the proposition -> true or false); the propositions file
has the wording of each under `simple_propositions`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from autorule.errors import InputError, with_kind
from autorule.preferences.showing import shown
from autorule.storage import parse_json, read_text
from autorule.verification.labels.rows import Label, as_satisfied, completion_of, fault, whole_rows


def read_rbr_gold(path: Path, propositions: Path) -> Iterator[Label]:
    """One label for each response and simple proposition. Raises InputError that names file, row and value."""
    wording = _wording(propositions)
    for row in whole_rows(path):
        completion = completion_of(path, row, "prompt_messages" if row.values.get("prompt_messages") else "prompt")
        answers = row.values.get("rules")
        if not isinstance(answers, dict):
            told = "missing" if answers is None else shown(answers)
            raise fault(path, row.number, f"rules is {told}; give an object of propositions and true or false")
        for name, satisfied in sorted(answers.items()):
            if name in wording:
                yield Label(completion, wording[name], as_satisfied(path, row.number, satisfied, f"rules.{name}"), name)


def _wording(path: Path) -> dict[str, str]:
    """Name -> the proposition as a rule: its question, which the examples that follow it make precise."""
    try:
        simple: dict[str, Any] = parse_json(read_text(path))["simple_propositions"]
        wording = {name: f"The answer to this is yes: {given['prompt'].strip()}" for name, given in simple.items()}
        "".join(wording.values()).encode()
        return wording
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} holds no simple_propositions: {with_kind(error)}") from error
