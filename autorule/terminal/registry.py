"""What `autorule registry` shows. Every text from a file is escaped and stripped of what a terminal would obey."""

import json

from rich.markup import escape
from rich.table import Table

from autorule.errors import AutoruleError
from autorule.registry import RuleSetRegistry
from autorule.registry.history import Event
from autorule.rules.rule_sets import RuleSet
from autorule.terminal.console import out, print_table, shown_text

SHOWN_HASH = 12


def print_registry(registry: RuleSetRegistry, as_json: bool) -> None:
    """Versions, rules of the current one, history. A version that can't be read is shown with the reason."""
    events, pointer = registry.history(), registry.current()
    current = None if pointer is None else pointer.version
    loaded = {version: _loaded(registry, version) for version in registry.versions()}
    if as_json:
        content = {
            "name": registry.name,
            "current": current,
            "versions": {
                version: {"error": found} if isinstance(found, str) else {"n_rules": len(found.rules)}
                for version, found in loaded.items()
            },
            "history": [event.model_dump(mode="json") for event in events],
        }
        print(json.dumps(content, indent=2))
        return
    published = {event.version: event for event in reversed(events) if event.action == "published"}
    table = Table(title=escape(registry.name), title_justify="left")
    for title in ("version", "rules", "sha256", "published (UTC)", "by"):
        table.add_column(title, justify="right" if title == "rules" else "left", overflow="fold")
    for version, found in loaded.items():
        name = f"[bold]{version}, current[/]" if version == current else version
        n_rules = "broken" if isinstance(found, str) else str(len(found.rules))
        table.add_row(name, n_rules, *_about(published.get(version)))
    print_table(table)
    _print_rules(current, loaded.get(current) if current is not None else None)
    _print_history(events)
    for version, found in loaded.items():
        if isinstance(found, str):
            out.print(f"[bold red]Broken:[/] {version}: {shown_text(found)}")
    if (left := registry.unfinished()) is not None:
        out.print(
            f"[bold red]Unfinished:[/] a switch to {left.version} was cut off before current.json was written; the "
            "next publish, promote or rollback finishes it"
        )


def print_decision(event: Event) -> None:
    """What became of a candidate, with the figures."""
    if event.decision is None:
        return
    verb = "is current" if event.action == "promoted" else f"was not promoted; {event.current} stays current"
    out.print(f"{event.version} {verb}: {shown_text(event.decision.reason)}")
    if event.decision.n_seen:
        out.print(f"{event.decision.n_seen} pairs of the promotion split were left out: one of the sets has seen them.")
    if event.decision.n_unscored:
        out.print(f"{event.decision.n_unscored} pairs of it were left out: the verifier failed on a side of them.")


def _loaded(registry: RuleSetRegistry, version: str) -> RuleSet | str:
    try:
        return registry.load(version)
    except AutoruleError as error:
        return str(error)


def _about(event: Event | None) -> tuple[str, ...]:
    if event is None:
        return "", "not in the history", ""
    return event.sha256[:SHOWN_HASH], shown_text(event.time), shown_text(event.by)


def _print_rules(version: str | None, found: RuleSet | str | None) -> None:
    if not isinstance(found, RuleSet):
        return
    table = Table(title=f"Rules of {version}", title_justify="left")
    table.add_column("weight", justify="right")
    table.add_column("rule", overflow="fold")
    for rule in found.rules:
        table.add_row(f"{rule.weight:g}", shown_text(rule.criterion))
    print_table(table)


def _print_history(events: list[Event]) -> None:
    out.print("[bold]History[/]")
    for event in events:
        out.print(
            f"  {shown_text(event.time)}  {event.action.replace('_', ' ')} {event.version} by {shown_text(event.by)}:"
        )
        out.print(f"    {shown_text(event.reason)}")
