"""What `autorule rules` shows. Every text from a file is escaped and stripped of what a terminal would obey."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.table import Table

from autorule.records import Rule
from autorule.rules.checking import Findings
from autorule.rules.editing import shortened
from autorule.rules.lineage import CandidateLineage, RuleLineage
from autorule.rules.matching import Match
from autorule.rules.rule_sets import Edit, RuleSet
from autorule.terminal.console import err, out, print_table, shown_text

MAX_PASSAGE_CHARS = 400


def print_rule(rule: Rule, lineage: RuleLineage | None, n_candidates: int, texts: dict[str, str]) -> None:
    """A rule with its sources; at most `n_candidates` of them, 0 for all. `texts` are the rules of the set by id."""
    out.print(f"[bold]{shown_text(rule.rule_id)}[/]  {shown_text(rule.criterion)}")
    facts = [f"support {rule.support}", f"weight {rule.weight:g}"]
    facts += [f"aspect {shown_text(rule.aspect)}"] if rule.aspect else []
    facts += ["pinned"] if rule.pinned else []
    out.print(f"  {' · '.join(facts)}")
    for other in rule.contradicts:
        out.print(f"  contradicts {shown_text(other)}  {shown_text(texts.get(other, '(not in this set)'))}")
    for name, value in rule.statistics.items():
        out.print(f"  {shown_text(name)}: {'unknown' if value is None else f'{value:g}'}")
    limit = n_candidates or None
    if lineage is None:
        _print_ids("candidates", rule.candidate_ids, limit)
        _print_ids("pairs", rule.pair_ids, limit)
    elif not lineage.candidates:
        out.print("  no sources: written by hand")
    else:
        for candidate in lineage.candidates[:limit]:
            _print_candidate(candidate)
        _print_rest("candidates", len(lineage.candidates), limit)
    out.print()


def print_history(edits: Sequence[Edit]) -> None:
    if not edits:
        return
    out.print("[bold]History[/]")
    for (action, by), group in groupby(edits, key=lambda edit: (edit.action, edit.by)):
        run = list(group)
        if action == "imported" and len(run) > 1:
            out.print(f"  imported {len(run)} rules by {shown_text(by)}")
            continue
        for edit in run:
            reason = f" ({shown_text(edit.reason)})" if edit.reason else ""
            out.print(f"  {edit.action} {shown_text(edit.rule_id)} by {shown_text(by)}{_change(edit)}{reason}")


def print_diff(matches: Sequence[Match], settings: Sequence[str]) -> None:
    by_kind = {kind: [match for match in matches if match.kind == kind] for kind in ("kept", "reworded", "gone", "new")}
    out.print(", ".join(f"{len(group)} {kind}" for kind, group in by_kind.items()))
    for kind in ("reworded", "gone", "new"):
        if by_kind[kind]:
            out.print(f"\n[bold]{kind.capitalize()}[/]")
        for match in by_kind[kind]:
            _print_match(match)
    changed = [match for match in by_kind["kept"] if _differences(match)]
    if changed:
        out.print("\n[bold]Kept, with changes[/]")
    for match in changed:
        assert match.b is not None
        out.print(f"  {shown_text(match.b.rule_id)}  {shown_text(match.b.text)}\n    {shown_text(_differences(match))}")
    if settings:
        out.print(f"\n[bold]Settings that differ[/]\n  {shown_text('; '.join(settings))}")


def print_findings(findings: Findings) -> None:
    if findings.faults:
        table = Table(title="Faults", title_justify="left")
        for name in ("id", "rule", "code", "meaning"):
            table.add_column(name, overflow="fold", no_wrap=name in ("id", "code"))
        for fault in findings.faults:
            table.add_row(shown_text(fault.rule_id[:8]), shown_text(fault.text), fault.code, shown_text(fault.meaning))
        print_table(table)
    for title, pairs in (("Near duplicates", findings.near_duplicates), ("Contradictions", findings.contradictions)):
        if pairs:
            out.print(f"[bold]{title}[/]")
        for pair in pairs:
            how = "" if pair.similarity is None else f" (similarity {pair.similarity:.2f})"
            out.print(f"  {shown_text(pair.first_id[:8])}  {shown_text(pair.first)}")
            out.print(f"  {shown_text(pair.second_id[:8])}  {shown_text(pair.second or '(not in this set)')}{how}\n")
    out.print(f"{findings.n_rules} rules: {findings.count} findings")


def print_warnings(findings: Findings) -> None:
    """One line for each fault, for commands whose work is another."""
    for fault in findings.faults:
        err.print(
            f"[yellow]Warning:[/] “{shown_text(shortened(fault.text))}” {shown_text(fault.meaning)} ({fault.code})"
        )


def print_note(text: str) -> None:
    out.print(shown_text(text))


def print_written(path: Path, rule_set: RuleSet) -> None:
    out.print(f"wrote {shown_text(str(path))}: {len(rule_set.rules)} rules")


def print_edits(edits: Sequence[Edit]) -> None:
    for edit in edits:
        out.print(f"{edit.action} {shown_text(edit.rule_id)}{_change(edit)}")


def _print_candidate(candidate: CandidateLineage) -> None:
    passage = candidate.passage
    source = f", source {shown_text(candidate.source_id)}" if candidate.source_id else ""
    how = f"overlap {passage.score:.2f}" if passage.score else "no word in common: its beginning"
    out.print(f"  [dim]candidate[/] {shown_text(candidate.candidate_id)}  {shown_text(candidate.text)}")
    out.print(f"    [dim]pair[/] {shown_text(candidate.pair_id)}, row {candidate.row}{source}")
    where = f"{passage.part} of {shown_text(candidate.interpretation_id)}, characters {passage.start} to {passage.end}"
    out.print(f"    [dim]{where}, {how}[/]")
    out.print(f"    “{shown_text(shortened(' '.join(passage.text.split()), MAX_PASSAGE_CHARS))}”")


def _print_ids(name: str, ids: Sequence[str], limit: int | None) -> None:
    if ids:
        out.print(f"  {name}: {shown_text(', '.join(ids[:limit]))}")
        _print_rest(name, len(ids), limit)


def _print_rest(name: str, n: int, limit: int | None) -> None:
    if limit is not None and n > limit:
        out.print(f"  [dim]and {n - limit} more {name}; --candidates 0 shows all[/]")


def _change(edit: Edit) -> str:
    texts = [f"“{shown_text(text)}”" for text in (edit.before, edit.after) if text is not None]
    return f": {' → '.join(texts)}" if texts else ""


def _print_match(match: Match) -> None:
    if match.a is None or match.b is None:
        rule = match.a or match.b
        assert rule is not None
        out.print(f"  {shown_text(rule.rule_id)}  {shown_text(rule.criterion)} [dim](support {rule.support})[/]")
        return
    shared = [
        f"{share:.0%} of the {name} shared"
        for name, share in (("candidates", match.shared_candidates), ("pairs", match.shared_pairs))
        if share
    ]
    out.print(f"  {shown_text(match.a.rule_id)}  {shown_text(match.a.text)}")
    out.print(f"  {shown_text(match.b.rule_id)}  {shown_text(match.b.text)}")
    out.print(f"    [dim]{', '.join([f'similarity {match.similarity:.2f}', *shared])}[/]")


def _differences(match: Match) -> str:
    a, b = match.a, match.b
    assert a is not None and b is not None
    values = [(name, getattr(a, name), getattr(b, name)) for name in ("text", "support", "weight", "aspect", "pinned")]
    return ", ".join(f"{name} {_value(old)} → {_value(new)}" for name, old, new in values if old != new)


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else "none" if value is None else str(value)
