"""The records that cross a stage, a process or the disk.

All are frozen and refuse unknown fields. Ids are content hashes: the same content has the same id in every run,
on every machine, which is what lets caches, lineage and resumed runs agree.
"""

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from autorule.code_checks import MOST, CodeCheck

Role = Literal["system", "user", "assistant", "tool"]
Stage = Literal["interpretation", "chain_check", "mining", "synthesis", "verification", "evaluation"]
Order = Literal["chosen_first", "rejected_first"]
FailureKind = Literal["provider", "timeout", "truncated", "refused", "parse", "budget"]
VerdictLabel = Literal["yes", "no", "not_applicable"]
FinishReason = Literal["stop", "length", "content_filter", "unknown"]
MOST_WEIGHT, LEAST_WEIGHT = 1_000_000, 1e-100
"""Of a rule, unless it is 0: sums of weights, and shares of them, stay numbers."""
MOST_ID_CHARS = 200


def content_id(*parts: Any) -> str:
    """The first 20 hex digits (80 bits) of the sha256 of the parts as canonical JSON."""
    canonical = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:20]


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Message(Record):
    role: Role
    content: str
    unshown: str | None = Field(default=None, exclude_if=lambda unshown: unshown is None)
    """What of the message is no text, such as an image: whoever judges by its text alone must not judge it."""


Messages = tuple[Message, ...]


class PreferencePair(Record):
    """One comparison: a conversation, the response people preferred and the one they did not."""

    pair_id: str
    """Hash of the prompt and the two responses in no order: the label is no part of it."""
    row: int
    """Number of the row in the input, from 1 (the line number in a JSON-lines file)."""
    source_id: str | None = None
    prompt: Messages
    chosen: Messages
    rejected: Messages
    reasoning: str | None = None
    """A reasoning chain that came with the pair; such a pair skips the interpretation stage."""
    explanation: str | None = None
    """The judge's final text that came with the chain."""
    stratum: str | None = None
    """The value of the column by which a stratified draw goes."""
    given_order: Order | None = None
    """The order in which the pair was shown to whoever wrote `reasoning`, where the columns tell."""
    tie: bool = False
    """No response was preferred: a negative control. Its label is drawn at random, its candidates make no rule."""
    embedding: tuple[float, ...] | None = Field(default=None, exclude=True, repr=False)
    """A vector that came with the pair, for a diverse draw. Like all fields from here on it is not written with it."""
    chosen_first: bool | None = Field(default=None, exclude=True, repr=False)
    """Whether the data gave the preferred response first; None where it gave no order."""
    strength: float | None = Field(default=None, exclude=True, repr=False)
    """How strongly it was preferred, above 0."""
    slices: dict[str, str] = Field(default={}, exclude=True, repr=False)
    """Column -> value, of the columns by which an evaluation is sliced."""


class RejectionReason(Record):
    code: str
    message: str
    """Says which column, what was found and what was expected."""


class RejectedRow(Record):
    """An input row that is no usable pair or completion, with every reason found."""

    row: int
    source_id: str | None = None
    reasons: tuple[RejectionReason, ...]


class Usage(Record):
    prompt_tokens: int = Field(0, ge=0)
    completion_tokens: int = Field(0, ge=0)


class CallCounts(Record):
    """What a stage asked: calls that reached the model, answers from the cache, tokens of the calls."""

    sent: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def as_cached(self) -> "CallCounts":
        """The same calls, taken over from an earlier run: nothing is sent."""
        return CallCounts(cached=self.sent + self.cached)

    def __sub__(self, earlier: "CallCounts") -> "CallCounts":
        """What was counted since."""
        return CallCounts(**{name: getattr(self, name) - getattr(earlier, name) for name in CallCounts.model_fields})

    def __add__(self, other: "CallCounts") -> "CallCounts":
        return CallCounts(
            sent=self.sent + other.sent,
            cached=self.cached + other.cached,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
        )


class ModelOutput(Record):
    """What one call of a model returned."""

    text: str
    """The answer, without the thinking."""
    reasoning: str | None = None
    """The thinking, from the server's own field or from <think> tags; None where the model gave none."""
    reasoning_source: Literal["field", "think_tags"] | None = None
    finish_reason: FinishReason = "unknown"
    usage: Usage = Usage()
    model: str = ""


class Failure(Record):
    """A request or an item that has no result, and why. A failure is never a zero and never an empty list."""

    stage: Stage
    kind: FailureKind
    message: str
    item_id: str = ""
    """The pair, interpretation, merge or completion that it belongs to."""
    attempts: int = 1
    usage: Usage = Usage()
    """Tokens of the call, where the server told them although nothing came of it."""
    raw: str | None = None
    """What the model returned, when it returned something that can't be used."""


class Interpretation(Record):
    """Why a pair was labelled as it was, as one reasoning chain."""

    interpretation_id: str
    pair_id: str
    row: int
    order: Order | None
    """Which response was shown as A; None when a chain was given with the pair and its order is unknown."""
    sample_index: int = 0
    chain: str
    answer: str
    chain_source: Literal["field", "think_tags", "answer", "given"]
    """Where the chain comes from; `answer` when the model showed no thinking of its own."""
    truncated: bool = False
    """The chain was cut off by the token limit."""
    trimmed: bool = False
    """Text was taken out of the middle of a response before the model saw it."""
    model: str = ""
    usage: Usage = Usage()
    prompt_sha256: str | None = None


class ChainCheck(Record):
    """Whether somebody who sees a chain without the names of the sides, and not the label, finds the label from it."""

    interpretation_id: str
    result: Literal["confirmed", "contradicted", "unclear"]


class CandidateRule(Record):
    """One rule mined from one chain, before synthesis."""

    candidate_id: str
    text: str
    interpretation_id: str
    pair_id: str
    lint: tuple[str, ...] = ()
    """Codes of what is wrong with the text (rules/linting.py): a candidate that they set aside is kept on disk only."""
    control: bool = False
    """Mined from a tie: a negative control, behind no rule."""


class DroppedCandidate(Record):
    """A candidate behind no final rule, and the reason."""

    candidate_id: str
    reason: str


def _told_apart(rule_id: str) -> str:
    if not rule_id.isprintable() or not rule_id.strip():
        raise ValueError("an id is one line that can be seen; give letters, digits, - and _")
    return rule_id


def _weighs(weight: float) -> float:
    if 0 < weight < LEAST_WEIGHT:
        raise ValueError(f"{weight:g} is too small to reckon with; give 0, or multiply all weights by a number")
    return weight


class Rule(Record):
    rule_id: Annotated[str, AfterValidator(_told_apart)] = Field(max_length=MOST_ID_CHARS)
    text: str
    support: int = Field(strict=True, ge=0, le=MOST)
    """Number of distinct pairs behind the rule."""
    candidate_ids: tuple[str, ...] = ()
    pair_ids: tuple[str, ...] = ()
    weight: Annotated[float, AfterValidator(_weighs)] = Field(
        default=1.0, strict=True, ge=0, le=MOST_WEIGHT, allow_inf_nan=False
    )
    threshold: float | None = Field(default=None, strict=True, ge=0, le=1, allow_inf_nan=False)
    """P(yes) from which the rule counts as satisfied, from a calibration; that of the rule set when None."""
    aspect: str | None = None
    """What the rule is about, such as format or safety: rewards can be told apart by it."""
    check: CodeCheck | None = None
    """Decides the rule by code, without a model."""
    inverted: bool = False
    """Satisfied by what breaks the text, because people prefer that: the verifier is asked about the text all the
    same, and its answer is turned around."""
    contradicts: tuple[str, ...] = ()
    """Ids of rules of the same set that no response can satisfy together with this one."""
    pinned: bool = False
    """A person wants it kept."""
    statistics: dict[str, Annotated[float, Field(strict=True, ge=-MOST, le=MOST, allow_inf_nan=False)] | None] = {}

    @property
    def criterion(self) -> str:
        """What a good response satisfies, in words: for readers, and for verifiers that are not ours."""
        return f"Not true of the response: {self.text}" if self.inverted else self.text


class Completion(Record):
    """A response to be scored, with the conversation that it answers."""

    completion_id: str
    row: int
    source_id: str | None = None
    prompt: Messages
    completion: Messages
    pair_id: str | None = None
    side: Literal["chosen", "rejected"] | None = None
    """Which side of a held-out pair it is."""


class Verdict(Record):
    """Whether one completion satisfies one rule."""

    completion_id: str
    rule_id: str
    verdict: VerdictLabel | None
    """None means unscored: there is no verdict, and `failure` says why."""
    p_yes: float | None = None
    """p(Yes) / (p(Yes) + p(No)); one minus that for an inverted rule."""
    p_not_applicable: float | None = None
    mass: float | None = None
    """Probability of all the choices together; None where the engine can't give it."""
    trimmed: bool = False
    """Text was taken out of the middle of the conversation before the verifier saw it."""
    failure: Failure | None = None


class RewardRecord(Record):
    """The rule reward of one completion."""

    completion_id: str
    row: int
    source_id: str | None = None
    pair_id: str | None = None
    side: Literal["chosen", "rejected"] | None = None
    reward: float | None
    """None means unscored; `unscored_reason` says why."""
    fraction: float | None
    """Mean over the scored, applicable rules, before scaling."""
    satisfied_fraction: float | None
    """The same with hard verdicts, whatever `fraction` is made of."""
    n_satisfied: int
    n_scored: int
    n_not_applicable: int
    n_unscored: int
    unscored_reason: str | None = None
