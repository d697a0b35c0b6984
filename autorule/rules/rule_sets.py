"""The rule set: the file that extraction makes and that scoring, evaluation and trainers read.

It is self-contained: rules, how they are verified (with the text of the prompt), how verdicts become a reward, and
what the rules were mined from. It holds no time, no path and no run id, so that the same inputs give the same bytes.
"""

import json
import logging
import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from autorule.code_checks import MOST, MOST_WHOLE
from autorule.config.stages import (
    CompletionView,
    RewardConfig,
    Sampling,
    VerificationConfig,
    VerificationMode,
    VerificationSampling,
)
from autorule.config.values import Choices
from autorule.errors import PromptError, RuleSetError, in_words
from autorule.prompting import Prompt
from autorule.records import Messages, Record, Rule, content_id
from autorule.rules.faults import changed_by_hand, first_fault, not_a_rule_set
from autorule.rules.text import normalise_rule
from autorule.storage import parse_json, read_text, to_folder

SCHEMA_VERSION = 1
MOST_BYTES = 100 * 2**20
log = logging.getLogger(__name__)
_warned: set[str] = set()
Share = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]


class VerificationSpec(Record):
    """How a verdict is reached; `prompt.text` travels with the rules."""

    prompt: Prompt
    prompt_sha256: str
    choices: Choices
    threshold: Share
    mass_floor: Share
    na_policy: Literal["excluded", "satisfied", "unsatisfied"]
    max_conversation_chars: int = Field(strict=True, ge=200, le=MOST)
    mode: VerificationMode = "direct"
    completion_view: CompletionView = "final"
    prefix_block: int = Field(default=32, strict=True, ge=1, le=256)
    asks: int = Field(default=2, strict=True, ge=1, le=5)
    sampling: VerificationSampling = VerificationSampling()

    @classmethod
    def from_config(cls, config: VerificationConfig, prompt: Prompt) -> Self:
        settings = {name: getattr(config, name) for name in type(config).model_fields if name != "prompt"}
        return cls(prompt=prompt, prompt_sha256=prompt.sha256, **settings)

    @model_validator(mode="after")
    def _prompt_is_the_one_named(self) -> Self:
        if self.prompt.sha256 != self.prompt_sha256:
            raise ValueError(
                "prompt_sha256 is not that of the prompt text: the prompt was edited after the rules were "
                "made; extract again, or write the new sha256 to say that this is meant"
            )
        return self


class Provenance(Record):
    """What the rules were mined from."""

    models: dict[str, str]
    """Stage -> identity of the model."""
    prompts: dict[str, str]
    """Stage -> sha256 of the prompt."""
    sampling: dict[str, Sampling]
    seed: int = Field(strict=True, ge=0, le=MOST_WHOLE)
    extract_from: Literal["chain", "answer", "both"]
    n_pairs: int = Field(strict=True, ge=0, le=MOST)
    n_candidates: int = Field(strict=True, ge=0, le=MOST)
    prompt_hashes: tuple[str, ...]
    """Hashes of the normalised prompts of all pairs that were mined, with their system turns and without: no evaluation
    may use these prompts."""


class Edit(Record):
    """One change by a person or a command. Like the whole file it holds no time: the order of edits is the history."""

    action: Literal[
        "imported", "added", "reworded", "dropped", "pinned", "unpinned", "merged", "calibrated", "scaled", "checked",
        "sorted", "inverted", "weighted",
    ]  # fmt: skip
    by: str
    rule_id: str
    """Id of the rule after the edit; of a dropped one, the id that it had; * for the whole set."""
    before: str | None = None
    after: str | None = None
    """The text before and after, where it changed; of a check, its parameters, of sorting, the aspect."""
    reason: str | None = None


class RuleSet(Record):
    schema_version: Literal[1] = 1
    rules: tuple[Rule, ...]
    verification: VerificationSpec
    reward: RewardConfig
    provenance: tuple[Provenance, ...] = ()
    """One entry for each extraction behind the rules; none for rules that were written by hand."""
    tuned_prompts: tuple[str, ...] = ()
    """Hashes of the prompts by whose labels rules were kept and weighed: no evaluation may use these either."""
    history: tuple[Edit, ...] = ()

    @property
    def seen_prompts(self) -> frozenset[str]:
        """Hashes of every prompt that any of the rules was mined from, kept or weighed by."""
        mined = (key for source in self.provenance for key in source.prompt_hashes)
        return frozenset((*mined, *self.tuned_prompts))

    @model_validator(mode="after")
    def _rules_can_be_told_apart(self) -> Self:
        ids = [rule.rule_id for rule in self.rules]
        if not ids:
            raise ValueError("a rule set needs at least one rule")
        if empty := [n for n, rule in enumerate(self.rules, start=1) if not normalise_rule(rule.text)]:
            raise ValueError(
                f"rule {empty[0]} ({ids[empty[0] - 1]!r:.60}) has an empty text, without a word; write the rule as a "
                "sentence, or take it out"
            )
        if len(set(ids)) < len(ids):
            raise ValueError("two rules have the same rule_id")
        if sum(rule.weight for rule in self.rules) <= 0:
            raise ValueError("all weights are 0")
        return self


def check_verification_prompt(prompt: Prompt, mode: VerificationMode) -> None:
    """Raises PromptError unless the prompt shows what the mode asks about."""
    if mode == "joint":
        prompt.check(("conversation", "rules"), ("choices",))
    else:
        prompt.check(("conversation",), ("choices",), question=("rule",))


def prompt_hash(prompt: Messages) -> str:
    """Hash of a prompt in lower case with single spaces, by which a prompt is known again in other data."""
    return content_id("prompt", [[message.role, " ".join(message.content.casefold().split())] for message in prompt])


def bare_prompt_hash(prompt: Messages) -> str:
    """The hash of a prompt without its system turns. One system turn before every prompt of a file would else make
    prompts of it that nobody has seen."""
    turns = tuple(message for message in prompt if message.role != "system")
    return prompt_hash(turns or prompt)


def prompt_keys(prompt: Messages) -> frozenset[str]:
    """The hashes by which a prompt that was seen is known: as it is, and without system turns."""
    return frozenset((prompt_hash(prompt), bare_prompt_hash(prompt)))


def rule_set_schema() -> dict[str, Any]:
    """The JSON Schema of a rule set file, published as rule_set.schema.json beside this module."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **RuleSet.model_json_schema()}
    return {**schema, "title": "autorule rule set"}


def dump_rule_set(rule_set: RuleSet) -> str:
    """The text of the rule set file; the same for the same rule set, byte for byte."""
    return json.dumps(rule_set.model_dump(mode="json"), ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def load_rule_set(path: Path | str | os.PathLike[str]) -> RuleSet:
    """The rule set of a file. Raises RuleSetError with every field that is wrong."""
    try:
        file = to_folder(path)
        if (n_bytes := file.stat().st_size) > MOST_BYTES:
            raise RuleSetError(
                f"rule set {str(path)!r} has {n_bytes:,} bytes, more than any has; give the 03_rule_set.json of a run"
            )
        text = read_text(file)
    except (OSError, ValueError) as error:
        raise RuleSetError(f"rule set {str(path)!r} can't be read: {in_words(error)}") from error
    try:
        content = parse_json(text)
    except ValueError as error:
        raise RuleSetError(
            f"rule set {str(path)!r} is not JSON: {in_words(error)}; give the 03_rule_set.json of a run"
        ) from error
    if (told := not_a_rule_set(content)) is not None:
        raise RuleSetError(f"rule set {str(path)!r} {told}")
    version = content.get("schema_version")
    if type(version) is not int or version != SCHEMA_VERSION:
        raise RuleSetError(
            f"rule set {str(path)!r} has schema_version {version!r:.40}, this autorule reads {SCHEMA_VERSION}"
        )
    try:
        rule_set = RuleSet.model_validate_json(text)
        check_verification_prompt(rule_set.verification.prompt, rule_set.verification.mode)
    except ValidationError as error:
        raise RuleSetError(f"rule set {str(path)!r}: {first_fault(error, content)}") from error
    except PromptError as error:
        raise RuleSetError(f"rule set {str(path)!r}: verification.prompt: {error}") from error
    if (told := changed_by_hand(rule_set.rules)) is not None and told not in _warned:
        _warned.add(told)  # a command may load a rule set several times, also from the folders that it is copied to
        log.warning(f"rule set {str(path)!r}: {told}")
    return rule_set


if __name__ == "__main__":
    print(json.dumps(rule_set_schema(), indent=2, sort_keys=True))
