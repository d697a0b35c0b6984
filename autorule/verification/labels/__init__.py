"""Labelled data for the verifier: completion, rule, and whether the rule is satisfied."""

from pathlib import Path
from typing import Literal

from autorule.errors import InputError
from autorule.verification.labels.ifeval import read_ifeval
from autorule.verification.labels.rbr_gold import read_rbr_gold
from autorule.verification.labels.rows import Label, read_label_rows

Source = Literal["rows", "ifeval", "rbr_gold"]


def read_labels(path: Path, source: Source, columns: dict[str, str], side_file: Path | None = None) -> list[Label]:
    """All labels of a file. Raises InputError for a file or a row that can't be read: labels are never guessed."""
    if source == "ifeval":
        labels = list(read_ifeval(path, side_file or path.with_name("ifeval_prompts.jsonl")))
    elif source == "rbr_gold":
        labels = list(read_rbr_gold(path, side_file or path.with_name("propositions.json")))
    else:
        labels = list(read_label_rows(path, columns))
    if not labels:
        raise InputError(f"{path} holds no labels")
    return labels


__all__ = ["Label", "Source", "read_labels"]
