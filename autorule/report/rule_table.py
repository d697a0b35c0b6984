"""The table of rules: one row for each, one column for each figure that the run has."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from autorule.records import Rule
from autorule.report.contents import Contents
from autorule.report.forest_plot import DECISIONS, surest_first
from autorule.report.text import MISSING, ends_text, number, percent, visible
from autorule.statistics.records import Interval, RuleStatistics, Weightings
from autorule.statistics.redundancy import DUPLICATE_PHI


@dataclass(frozen=True)
class Cell:
    text: str
    sort: float | str | None = None
    """What the column sorts by; None goes last."""
    interval: Interval | None = None
    note: str = ""
    link: str = ""


@dataclass(frozen=True)
class Column:
    label: str
    help: str
    kind: Literal["text", "number"] = "number"
    printed: bool = True
    """Whether paper has room for it."""


class Reason(NamedTuple):
    """Why a rule is decided so; rules that it names are told by their number."""

    before: str
    number: int | None = None
    after: str = ""


@dataclass(frozen=True)
class RuleRow:
    number: int
    rule_id: str
    text: str
    decision: str
    reason: Reason | None
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class RuleTable:
    columns: tuple[Column, ...]
    rows: tuple[RuleRow, ...]
    decisions: tuple[tuple[str, int], ...]
    """Each decision and how many rules have it; empty where rules were not evaluated."""
    without: tuple[str, ...]
    """Columns that are left out because the run has no such figures."""
    n_contrary: int = 0
    """Rules that the decision keeps and the chosen weights leave out, or the other way round."""

    @property
    def n_leading(self) -> int:
        """Columns that stand before the text of the rule."""
        return int(bool(self.columns) and self.columns[0].label == AGREEMENT)


AGREEMENT = "Agreement"
CONTRARY = "≠ decision"
DECISION_HELP = {
    "keep": "people prefer what satisfies it, beyond chance",
    "reversed": "people reliably prefer what breaks it",
    "unproven": "it agrees no more than chance would",
    "duplicate": f"its verdicts correlate with those of a surer rule with {DUPLICATE_PHI} or more",
}


def rule_table(contents: Contents) -> RuleTable | None:
    """The rules from the surest to the least, or in the order of the rule set where they were not evaluated."""
    if contents.evaluation is not None:
        found, rules = contents.evaluation.rules, contents.rules
        numbers = {rule.rule_id: index for index, rule in enumerate(found, start=1)}
        return _table(
            [
                Draft(numbers[s.rule_id], s.rule_id, s.text, s.decision, _reason(s.reason, s.duplicate_of, numbers),
                      _evaluated(s, rules, numbers, contents.evaluation.weightings))
                for s in surest_first(found)
            ]
        )  # fmt: skip
    if contents.rule_set is not None:
        return _table(
            [
                Draft(index, rule.rule_id, rule.criterion, "", None, _extracted(rule))
                for index, rule in enumerate(contents.rule_set.rules, start=1)
            ]
        )
    return None


Values = dict[Column, Cell]


class Draft(NamedTuple):
    """A row before it is known which columns there are."""

    number: int
    rule_id: str
    text: str
    decision: str
    reason: Reason | None
    values: Values


def _reason(told: str, names: str | None, numbers: dict[str, int]) -> Reason:
    """`names`: id of the rule that the reason speaks of."""
    if names not in numbers or names not in told:
        return Reason(visible(told))
    before, _, after = told.partition(names)
    return Reason(visible(before), numbers[names], visible(after))


def _table(drafts: Sequence[Draft]) -> RuleTable:
    columns = list(dict.fromkeys(column for draft in drafts for column in draft.values))
    empty = [column for column in columns if all(draft.values.get(column, ABSENT).sort is None for draft in drafts)]
    shown = [column for column in columns if column not in empty]
    counts = Counter(draft.decision for draft in drafts)
    return RuleTable(
        columns=tuple(shown),
        rows=tuple(
            RuleRow(
                draft.number, visible(draft.rule_id), visible(draft.text), draft.decision, draft.reason,
                tuple(draft.values.get(column, ABSENT) for column in shown),
            )
            for draft in drafts
        ),
        decisions=tuple((name, counts[name]) for name in DECISIONS if counts[name]),
        without=tuple(column.label for column in empty),
        n_contrary=sum(cell.note == CONTRARY for draft in drafts for cell in draft.values.values()),
    )  # fmt: skip


ABSENT = Cell(MISSING)
SUPPORT = Column("Support", "Distinct pairs that the rule was mined from.", printed=False)
WEIGHT = Column("Weight", "In the rule set.")


def _extracted(rule: Rule) -> Values:
    values = {SUPPORT: _count(rule.support), WEIGHT: _plain(rule.weight)}
    values[Column("Aspect", "What the rule is about.", "text")] = _text(rule.aspect)
    values[Column("Decided by", "A verifier model, or code.", "text")] = _text("code" if rule.check else "verifier")
    values[Column("Pinned", "A person wants it kept.", "text")] = _text("pinned" if rule.pinned else None)
    for name, value in sorted(rule.statistics.items()):
        values[Column(visible(name.replace("_", " ")), "From the rule set file.")] = _plain(value, 3)
    return values


def _evaluated(
    statistics: RuleStatistics, rules: dict[str, Rule], numbers: dict[str, int], weightings: Weightings | None
) -> Values:
    s = statistics
    values: Values = {}

    def add(label: str, help: str, cell: Cell, printed: bool = True) -> None:
        values[Column(label, help, printed=printed)] = cell

    add(AGREEMENT, "Share of the pairs that the rule tells apart whose preferred side satisfies it, with its 95% "
        "interval; the line marks 50%. Sorts by the lower end: the surest first.", _interval(s.agreement))  # fmt: skip
    add("Told apart", "Pairs of which one side satisfies the rule and the other does not.", _count(s.n_discordant))
    add(
        "p",
        "That the rule agrees as a coin would: exact binomial test by the effective number of pairs; where prompts "
        "have several pairs, not below what a test over whole prompts gives.",
        _p_value(s.p_value),
    )
    add(
        "p of all",
        "The same when all rules are counted (Benjamini and Hochberg): below 0.05, unless another rate was "
        "asked for, the rule is beyond chance.",
        ABSENT if s.adjusted_p is None else _p_value(s.adjusted_p),
        printed=False,
    )
    add("Counts as", f"Pairs that interval and p go by: {s.basis}.", _plain(s.n_effective, 0), printed=False)
    add("Gain", "Pair accuracy of the set with the rule minus without it.", _share(s.gain, signed=True, digits=2))
    add("Weight", "In the rule set that was evaluated.", _plain(s.weight))
    if weightings is not None:
        add("Chosen weight", "Under the weighting chosen on dev; 0: left out. The decision goes by all pairs, the "
            f"weight by dev alone: where they differ it says {CONTRARY}.", _chosen_weight(s, weightings))  # fmt: skip
    add("Coverage", "Share of pairs with a verdict that counts on both sides.", _share(s.coverage))
    add("Saturation", "Share of yes among yes and no; a rule that nearly all satisfy teaches little.",
        _share(s.saturation), printed=False)  # fmt: skip
    add("N/A", "Share of verdicts that say that the rule does not apply.", _share(s.na_rate), printed=False)
    add("Unscored", "Share of verdicts that could not be had.", _share(s.unscored_rate), printed=False)
    for name in sorted(s.flips):
        add(f"Flips: {visible(name)}", "Share of verdicts that changed with this change of the question.",
            _share(s.flips[name]), printed=False)  # fmt: skip
    if not s.flips:
        add("Flips", "Share of verdicts that changed with the question.", ABSENT)
    add("Length r", "Correlation of the verdict with the length of the response.", _plain(s.length_correlation),
        printed=False)  # fmt: skip
    add("Lengths alike", "Agreement on pairs whose lengths differ by at most a fifth. Sorts by the lower end.",
        _interval(s.length_matched_agreement), printed=False)  # fmt: skip
    add("Nearest rule", "The rule whose verdicts correlate most with it, and how much (φ).", _nearest(s, numbers))
    add("Tokens", "Of its text, estimated at four bytes each: with the words of the question around it, what it adds "
        "to every conversation that is verified.", _count(s.tokens), printed=False)  # fmt: skip
    rule = rules.get(s.rule_id)
    values[SUPPORT] = ABSENT if rule is None else _count(rule.support)
    return values


def _chosen_weight(s: RuleStatistics, weightings: Weightings) -> Cell:
    """Nothing where the chosen weighting leaves out every rule: then it is none."""
    weights = next((result.weights for result in weightings.results if result.method == weightings.chosen), {})
    if not weights:
        return ABSENT
    weight = weights.get(s.rule_id, 0.0)
    contrary = (s.decision == "keep") != (weight > 0)
    return Cell(number(weight), weight, note=CONTRARY if contrary else "")


def _nearest(s: RuleStatistics, numbers: dict[str, int]) -> Cell:
    other = numbers.get(s.nearest_rule or "")
    if other is None or s.nearest_phi is None:
        return ABSENT
    return Cell(f"{other}", s.nearest_phi, note=f"φ {number(s.nearest_phi)}", link=f"rule-{other}")


def _format(value: float | None, write: Callable[[float], str]) -> Cell:
    return ABSENT if value is None else Cell(write(value), float(value))


def _share(value: float | None, signed: bool = False, digits: int = 1) -> Cell:
    return _format(value, lambda known: percent(known, signed, digits))


def _plain(value: float | None, digits: int = 2) -> Cell:
    return _format(value, lambda known: number(known, digits))


def _p_value(value: float) -> Cell:
    return Cell("<0.0001" if value < 1e-4 else number(value, 4), value)


def _count(value: int) -> Cell:
    return Cell(f"{value:,}", float(value))


def _interval(interval: Interval) -> Cell:
    if interval.value is None:
        return ABSENT
    sure = interval.value if interval.low is None else interval.low
    return Cell(percent(interval.value), sure, interval, ends_text(interval))


def _text(value: str | None) -> Cell:
    return ABSENT if not value else Cell(visible(value), visible(value))
