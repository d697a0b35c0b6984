"""What a run was and what became of every row: the manifest."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from autorule.records import CallCounts, Record, Stage
from autorule.runs.input_files import files_of

LISTS_CUT = "lists ran on or were cut off and may lack rules (max_rules, sampling.max_tokens)"
Status = Literal["running", "completed", "failed_with_results", "failed", "stopped"]


class Funnel(Record):
    """Counts by stage. Each row, chain, candidate and completion ends somewhere: `imbalances` says where not."""

    rows_read: int = 0
    rows_rejected: int = 0
    pairs_valid: int = 0
    pairs_repeated: int = 0
    """Valid rows that repeat an earlier one, label and order included."""
    pairs_not_drawn: int = 0
    pairs_drawn: int = 0
    ties_drawn: int = 0
    """Those of the drawn pairs that are ties, kept as a negative control."""
    chains_expected: int = 0
    chains_given: int = 0
    chains: int = 0
    """Interpretations, the given ones included."""
    chains_failed: int = 0
    chains_checked: int = 0
    chains_contradicted: int = 0
    chains_unclear: int = 0
    checks_failed: int = 0
    chains_left_out: int = 0
    """Not mined, because the blind check did not confirm them."""
    chains_mined: int = 0
    mining_failed: int = 0
    candidates: int = 0
    candidates_set_aside: int = 0
    candidates_of_ties: int = 0
    """Mined from ties and good by lint: the negative control."""
    lists_cut: int = 0
    """Answers of mining and synthesis whose list ran on to its bound, or was ended by max_tokens after whole lines:
    more may have been meant. Each counts among the results all the same."""
    candidates_in_rules: int = 0
    candidates_dropped: int = 0
    merges_failed: int = 0
    rules: int = 0
    held_out_rows_read: int = 0
    held_out_rows_rejected: int = 0
    held_out_pairs: int = 0
    held_out_pairs_not_drawn: int = 0
    completion_rows_read: int = 0
    completion_rows_rejected: int = 0
    completions: int = 0
    completions_failed: int = 0
    """Lost with their shard; a completion without enough verdicts counts among rewards_unscored."""
    verdicts: int = 0
    verdicts_unscored: int = 0
    rewards: int = 0
    rewards_unscored: int = 0

    def imbalances(self) -> list[str]:
        """Every sum that does not come out; empty when nothing was lost."""
        sums = {
            "rows_read": (self.rows_read, self.rows_rejected + self.pairs_valid),
            "pairs_valid": (self.pairs_valid, self.pairs_repeated + self.pairs_not_drawn + self.pairs_drawn),
            "chains_expected": (self.chains_expected, self.chains + self.chains_failed),
            "chains": (self.chains, self.chains_mined + self.mining_failed + self.chains_left_out),
            "candidates": (
                self.candidates,
                self.candidates_set_aside
                + self.candidates_of_ties
                + self.candidates_in_rules
                + self.candidates_dropped,
            ),
            "held_out_rows_read": (
                self.held_out_rows_read,
                self.held_out_rows_rejected + self.held_out_pairs_not_drawn + self.held_out_pairs,
            ),
            "completion_rows_read": (
                self.completion_rows_read + 2 * self.held_out_pairs,
                self.completion_rows_rejected + self.completions,
            ),
            "completions": (self.completions, self.rewards + self.completions_failed),
            "verdicts": (self.verdicts, self.rewards * self.rules),
        }
        return [f"{name} is {whole}, its parts {parts}" for name, (whole, parts) in sums.items() if whole != parts]


class InputFile(Record):
    path: str
    sha256: str
    n_bytes: int
    files: tuple["InputFile", ...] = Field(default=(), exclude_if=lambda files: not files)
    """Those that a pattern matched."""


class RunManifest(Record):
    run_id: str
    flow: str
    status: Status
    message: str = ""
    autorule_version: str
    started_at: str
    ended_at: str | None = None
    config: dict[str, Any]
    inputs: dict[str, InputFile] = {}
    models: dict[str, str] = {}
    """Stage -> identity of the model."""
    prompts: dict[str, str] = {}
    """Stage -> sha256 of the prompt."""
    funnel: Funnel = Funnel()
    usage: dict[Stage, CallCounts] = {}
    failed_shards: tuple[str, ...] = ()
    files: dict[str, int] = {}
    """File of the run -> number of records in it."""


def utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def describe_inputs(paths: Mapping[str, Path]) -> dict[str, InputFile]:
    """Those that are there."""
    return {
        name: describe_input(path) for name, path in paths.items() if all(file.is_file() for file in files_of(path))
    }


def describe_input(path: Path) -> InputFile:
    """Of a file, or of all files of a pattern: each of them, and one hash of all their hashes."""
    files = files_of(path)
    if files != [path]:
        parts = tuple(map(describe_input, files))
        digest = hashlib.sha256("\n".join(part.sha256 for part in parts).encode()).hexdigest()
        return InputFile(path=str(path), sha256=digest, n_bytes=sum(part.n_bytes for part in parts), files=parts)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return InputFile(path=str(path), sha256=digest, n_bytes=path.stat().st_size)
