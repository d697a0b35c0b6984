"""RBR gold data (Mu et al., arXiv 2411.01111): human answers to propositions about each response.

A row has `prompt_messages`, `response` and `rules` (name of the proposition -> true or false); the propositions file
has the wording of each under `simple_propositions`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from autorule.errors import InputError, with_kind
from autorule.preferences.readers import BadRow, read_rows
from autorule.records import Message
from autorule.storage import parse_json, read_text
from autorule.verification.labels.rows import Label, as_satisfied, labelled_completion


def read_rbr_gold(path: Path, propositions: Path) -> Iterator[Label]:
    """One label for each response and simple proposition. Raises InputError that names file, row and value."""
    wording = _wording(propositions)
    for row in read_rows(path):
        if isinstance(row, BadRow):
            raise InputError(f"{path}, row {row.number}: {row.reason.message}")
        values = row.values
        turns = values.get("prompt_messages") or [{"role": "user", "content": values.get("prompt")}]
        try:
            prompt = tuple(Message(role=turn["role"], content=turn["content"]) for turn in turns)
            completion = labelled_completion(row.number, values.get("id"), prompt, values["response"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{path}, row {row.number}: prompt_messages or response can't be read: {with_kind(error)}"
            ) from error
        for name, satisfied in sorted(values["rules"].items()):
            if name in wording:
                yield Label(completion, wording[name], as_satisfied(path, row.number, satisfied), name)


def _wording(path: Path) -> dict[str, str]:
    """Name -> the proposition as a rule: its question, which the examples that follow it make precise."""
    try:
        simple: dict[str, Any] = parse_json(read_text(path))["simple_propositions"]
        return {name: f"The answer to this is yes: {given['prompt'].strip()}" for name, given in simple.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} holds no simple_propositions: {with_kind(error)}") from error
