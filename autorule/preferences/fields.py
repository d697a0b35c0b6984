"""Foreign columns -> PreferencePair, in one place.

Known layouts: `prompt/chosen/rejected` (strings or message lists, the prompt explicit or the shared beginning of
both lists, as in UltraFeedback-binarized), `prompt/response_a/response_b/winner`, and hh-rlhf transcripts in
`chosen/rejected`; and those of layouts.py. Other names come in through a mapping from our column name to the file's.
"""

from collections.abc import Collection, Sequence
from typing import Any

from autorule.errors import ConfigError, InputError
from autorule.preferences.advice import advice
from autorule.preferences.conversations import EARLIER, sides, with_earlier
from autorule.preferences.layouts import layout_of, our_columns
from autorule.preferences.messages import FieldError, as_id, as_messages, is_empty, unshown_in
from autorule.preferences.rows import Row, column_names
from autorule.preferences.sampling import draw
from autorule.preferences.scores import against, score_columns, tie_told, verdict_columns
from autorule.preferences.showing import shown, writable
from autorule.preferences.values import as_embedding, as_strength
from autorule.preferences.winners import Side, Winners
from autorule.records import Messages, Order, PreferencePair, RejectedRow, RejectionReason, content_id

COLUMNS = (
    "prompt",
    "chosen",
    "rejected",
    "response_a",
    "response_b",
    "winner",
    "id",
    "reasoning",
    "explanation",
    "stratum",
    "embedding",
    "score_chosen",
    "score_rejected",
    "strength",
)
FOR_DRAWS = ("stratum", "embedding", "strength")
"""Read only where they are mapped: columns of these names may mean anything."""
TIES = {"tie", "identical_responses"}
"""Reasons to reject a row that only say that nothing was preferred."""


class FieldMap:
    """Reads one row as a pair, or says everything that is wrong with it.

    `columns` maps our column names to the file's; `winner_values` maps a, b and tie to the values of the winner
    column. With `keep_ties` a tie is a pair too, marked as one, whose label is drawn from its id. `slices` are columns
    of the file whose values go with the pair. Raises ConfigError for a name that is not ours.
    """

    def __init__(
        self,
        columns: dict[str, str] | None = None,
        winner_values: dict[str, str] | None = None,
        keep_ties: bool = False,
        slices: Sequence[str] = (),
    ) -> None:
        self.columns = columns or {}
        self.keep_ties = keep_ties
        self.slices = tuple(slices)
        self._winners = Winners(winner_values)
        self._named_winners = bool(winner_values)
        if unknown := sorted(set(self.columns) - set(COLUMNS)):
            raise ConfigError(f"columns: {unknown[0]!r} is no column of ours; map one of {', '.join(COLUMNS)}")

    @property
    def source_id(self) -> str:
        """The column that only names a row; none where it is something else too."""
        others = {theirs for ours, theirs in self.columns.items() if ours != "id"}
        name = self.columns.get("id", "id")
        return "" if name in {*others, *self.slices} else name

    def used(self, names: Collection[str]) -> set[str]:
        """Those of a file's columns that are read."""
        ours = {self.columns.get(name, name) for name in COLUMNS if name in self.columns or name not in FOR_DRAWS}
        layout = layout_of(names)
        scores = {name for columns in score_columns(names) for name in columns}
        own = {*self.slices, *scores, *verdict_columns(names), *EARLIER}
        return {*ours, *own, *(layout.columns() if layout else ())}

    def check_layout(self, path: str, row: Row) -> None:
        """Raises InputError when the first row shows that the file has no preference columns at all."""
        for ours, theirs in self.columns.items():
            if theirs not in row.values:
                raise InputError(f"{path} has no column {theirs!r} (mapped to {ours}); it has {_names(row)}")
        for name in self.slices:
            if name not in row.values:
                raise InputError(f"{path} has no column {name!r} to slice by; it has {_names(row)}")
        layout = layout_of(row.values)
        has = {name for name in COLUMNS if self._has(row, name)} | (layout.gives if layout else frozenset())
        if layout is not None and (layout.winner or layout.spelt):
            has |= {"winner"}
        if not ({"chosen", "rejected"} <= has or {"response_a", "response_b", "winner"} <= has):
            raise InputError(
                f"{path} has neither chosen/rejected nor response_a/response_b/winner; it has {_names(row)}; "
                f"{advice(row.values)}"
            )

    def _in_our_columns(self, row: Row) -> Row:
        """The row with our columns, where its layout is a public one; a mapping leads to the same values."""
        found = our_columns(row.values, self.columns, self._named_winners)
        ours = {self.columns.get(name, name): value for name, value in found.items()}
        return Row(row.number, {**row.values, **ours})

    def read_pair(self, row: Row) -> PreferencePair | RejectedRow:
        source_id = as_id(self._get(row, "id"))
        reasons: list[RejectionReason] = []
        pair = None
        try:
            row = self._in_our_columns(row)
            if self._has(row, "chosen") or self._has(row, "rejected"):
                pair = self._from_chosen(row, source_id, reasons)
            else:
                pair = self._from_winner(row, source_id, reasons)
        except FieldError as error:
            reasons.append(error.reason)
        if pair is None or reasons:
            return RejectedRow(row=row.number, source_id=source_id, reasons=tuple(reasons))
        return pair

    def _from_chosen(self, row: Row, source_id: str | None, reasons: list[RejectionReason]) -> PreferencePair:
        explicit = (self._get(row, "prompt"),) if self._has(row, "prompt") else ()
        prompt, chosen, rejected = sides(self._get(row, "chosen"), self._get(row, "rejected"), *explicit)
        scored = against(row.values, self._mapped_scores())
        told = tie_told(row.values) or self._tie_by_name(row)
        reasons += [reason for reason in (scored, told) if reason is not None]
        return self._pair(row, source_id, prompt, {"chosen": chosen, "rejected": rejected}, "a", None, reasons)

    def _tie_by_name(self, row: Row) -> RejectionReason | None:
        """A tie in the column and the words that the user names."""
        if "winner" not in self.columns and not self._named_winners:
            return None
        value = self._get(row, "winner")
        try:
            tie = self._winners.side(value) is Side.TIE
        except FieldError:
            return None
        return _reason("tie", f"winner is {shown(value)}: no response was preferred") if tie else None

    def _from_winner(self, row: Row, source_id: str | None, reasons: list[RejectionReason]) -> PreferencePair:
        prompt = as_messages(self._get(row, "prompt"), "prompt", "user")
        responses = {
            name: as_messages(self._get(row, name), name, "assistant") for name in ("response_a", "response_b")
        }
        told = self._get(row, "winner")
        winner = self._winners.side(told).value
        if winner == "tie":
            said = winner if isinstance(told, Side) else told
            reasons.append(_reason("tie", f"winner is {shown(said)}: no response was preferred"))
        order: Order = "rejected_first" if winner == "b" else "chosen_first"
        return self._pair(row, source_id, prompt, responses, winner, order, reasons)

    def _mapped_scores(self) -> tuple[str, str] | None:
        ours = ("score_chosen", "score_rejected")
        if not any(name in self.columns for name in ours):
            return None
        return self.columns.get(ours[0], ours[0]), self.columns.get(ours[1], ours[1])

    def _pair(
        self,
        row: Row,
        source_id: str | None,
        prompt: Messages,
        responses: dict[str, Messages],
        winner: str,
        given_order: Order | None,
        reasons: list[RejectionReason],
    ) -> PreferencePair:
        (first_name, first), (second_name, second) = responses.items()
        if is_empty(prompt):
            named = "" if self._has(row, "prompt") else "; no column prompt: name it with --columns prompt=NAME"
            reasons.append(_reason("empty_prompt", f"the prompt is empty{named}"))
        else:
            prompt = with_earlier(prompt, row.values, self._not_earlier(row))
        for name, messages in responses.items():
            if is_empty(messages):
                reasons.append(_reason(f"empty_{name}", f"{name} is empty"))
        for name, messages in {"prompt": prompt, **responses}.items():
            if unshown := unshown_in(messages):
                reasons.append(_reason("not_text", f"{name} holds {unshown}, which can't be shown as text"))
        if first == second and not is_empty(first) and not any(reason.code == "tie" for reason in reasons):
            reasons.append(_reason("identical_responses", f"{first_name} and {second_name} are the same text"))
        key = pair_id(prompt, first, second)
        tie = self.keep_ties and any(reason.code in TIES for reason in reasons)
        if tie:
            reasons[:] = [reason for reason in reasons if reason.code not in TIES]
            winner, given_order = ("a", "b")[draw(0, "tie", key) % 2], None
        chosen, rejected = (second, first) if winner == "b" else (first, second)
        reasoning = self._text(row, "reasoning")
        return PreferencePair(
            pair_id=key,
            row=row.number,
            source_id=source_id,
            prompt=prompt,
            chosen=chosen,
            rejected=rejected,
            reasoning=reasoning,
            explanation=self._text(row, "explanation"),
            stratum=as_id(self._get(row, "stratum")) if "stratum" in self.columns else None,
            given_order=given_order if reasoning else None,
            tie=tie,
            embedding=as_embedding(self._get(row, "embedding")) if "embedding" in self.columns else None,
            chosen_first=None if given_order is None else given_order == "chosen_first",
            strength=None if tie or "strength" not in self.columns else as_strength(self._get(row, "strength")),
            slices={name: as_id(row.values.get(name)) or "" for name in self.slices},
        )

    def _not_earlier(self, row: Row) -> set[str]:
        """Columns that are mapped, or the prompt of the layout."""
        layout = layout_of(row.values)
        return {*self.columns.values(), *(layout.needs if layout else ())}

    def _text(self, row: Row, name: str) -> str | None:
        value = self._get(row, name)
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        return "\n".join(message.content for message in as_messages(value, name, "assistant"))

    def _get(self, row: Row, name: str) -> Any:
        return row.values.get(self.columns.get(name, name))

    def _has(self, row: Row, *names: str) -> bool:
        return all(self.columns.get(name, name) in row.values for name in names)


def pair_id(prompt: Messages, one: Messages, other: Messages) -> str:
    """Hash of the prompt and the unordered responses."""
    responses = sorted([_plain(one), _plain(other)])
    return content_id("pair", _plain(prompt), responses)


def _plain(messages: Messages) -> list[list[str]]:
    return [[message.role, message.content] for message in messages]


def _reason(code: str, message: str) -> RejectionReason:
    return RejectionReason(code=code, message=writable(message))


def _names(row: Row) -> str:
    return column_names(row.values.keys())
