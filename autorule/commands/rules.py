"""`autorule rules`: where rules come from, and what people do to them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from autorule.commands.options import AsJson, By, Debug, Force, RuleSetFile, SettingOptions, grouped
from autorule.commands.settings import settings_of
from autorule.errors import ConfigError, InputError
from autorule.records import Rule
from autorule.rules.checking import Findings, check_rules, faults_of
from autorule.rules.editing import Changes, apply, find_rule
from autorule.rules.importing import ImportConfig, columns_not_read, import_rules
from autorule.rules.lineage import RuleLineage, history_of, missing_files, trace
from autorule.rules.matching import match_rules
from autorule.rules.merging import differences, joined_history, merge_rule_sets
from autorule.rules.rows import headings_of
from autorule.rules.rule_sets import load_rule_set
from autorule.rules.saving import check_free, save_rule_set, user_name
from autorule.terminal import rules as shown
from autorule.terminal.console import print_json

rules_app = typer.Typer(help="Rule sets: lineage, import, comparison, checks, changes.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(rules_app, name="rules")


@rules_app.command()
def show(
    rule_set: RuleSetFile,
    rule_id: Annotated[str | None, typer.Argument(help="one rule: its id, or the beginning of it")] = None,
    run: Annotated[
        list[Path] | None,
        typer.Option(help="run folder to trace the rules in (default: that of the file); repeat it for a merged set"),
    ] = None,
    candidates: Annotated[int, typer.Option(min=0, help="candidates shown of each rule; 0 for all")] = 3,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show rules with the candidates, chains and pairs that they came from."""
    rules = load_rule_set(rule_set)
    chosen = [find_rule(rules, rule_id)] if rule_id is not None else list(rules.rules)
    history = history_of(rules, chosen[0]) if rule_id is not None else list(rules.history)
    folders = run or [rule_set.parent]
    lacking = [path for folder in folders for path in missing_files(folder)]
    if run and lacking:
        raise InputError(f"{lacking[0]} does not exist; give the folder of a run, with its numbered files, with --run")
    lineage = None if lacking else trace(rules, folders, {rule.rule_id for rule in chosen})
    if as_json:
        print_json(
            {
                "rules": [_with_lineage(rule, lineage[i] if lineage else None) for i, rule in enumerate(chosen)],
                "history": [edit.model_dump(mode="json") for edit in history],
                "lineage_from": [] if lacking else [str(folder) for folder in folders],
                "lineage_missing": [str(path) for path in lacking],
            }
        )
        return
    texts = {rule.rule_id: rule.text for rule in rules.rules}
    for i, rule in enumerate(chosen):
        shown.print_rule(rule, lineage[i] if lineage else None, candidates, texts)
    shown.print_history(history)
    if lacking and any(rule.candidate_ids for rule in chosen):
        names = ", ".join(path.name for path in lacking)
        shown.print_note(
            f"No lineage: it is looked for in the folder {rule_set.parent}, which lacks {names}; give the folder of "
            "the run with --run."
        )


@rules_app.command("import")
@grouped
def import_(
    file: Annotated[Path, typer.Argument(help="rules: .txt, .md, .csv, .json or .jsonl")],
    out: Annotated[Path, typer.Option(help="rule set to write")],
    settings: SettingOptions,
    by: By = None,
    force: Force = False,
    debug: Debug = False,
) -> None:
    """Make a rule set of rules that you have.

    A text file has one rule a line. Tables and JSON have one of the columns rule, text, criterion or description, and
    if wanted a weight (weight, points or importance; 1 where there is none) and an aspect (aspect, category or title).
    Settings are those of \\[verification] and \\[reward], such as --set verification.threshold=0.6.
    """
    check_free(out, force)
    # Any model may score; naming one keeps the settings of the embedded model out.
    config = settings_of(ImportConfig, {"model": {"backend": "openai_compatible"}}, settings)
    rules = import_rules(file, user_name(by), config)
    save_rule_set(out, rules)
    shown.print_warnings(Findings(n_rules=len(rules.rules), faults=faults_of(rules.rules)))
    if n_headings := headings_of(file):
        shown.print_note(f"lines that were not read, as headings or remarks, since they begin with #: {n_headings}")
    if unread := columns_not_read(file):
        shown.print_note(f"columns that were not read: {', '.join(unread)}")
    shown.print_written(out, rules)


@rules_app.command()
def diff(
    a: Annotated[Path, typer.Argument(help="rule set before")],
    b: Annotated[Path, typer.Argument(help="rule set after")],
    similarity: Annotated[
        float, typer.Option(min=0.01, max=1, help="cosine from which two texts are one rule in other words")
    ] = 0.5,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Compare two rule sets: which rules were kept, reworded, lost, and which are new."""
    before, after = load_rule_set(a), load_rule_set(b)
    matches = match_rules(before.rules, after.rules, similarity)
    settings = differences(before, after)
    if as_json:
        found = [match.model_dump(mode="json") for match in matches]
        print_json({"matches": found, "settings_that_differ": settings})
    else:
        shown.print_diff(matches, settings)


@rules_app.command()
def lint(
    rule_set: RuleSetFile,
    max_chars: Annotated[int, typer.Option(min=1, help="length from which a rule is too long")] = 300,
    similarity: Annotated[
        float, typer.Option(min=0.01, max=1, help="cosine from which two rules are near duplicates")
    ] = 0.8,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Check the rules: faults of wording, near duplicates, contradictions. Exit code 1 when there is any."""
    findings = check_rules(load_rule_set(rule_set).rules, max_chars, similarity)
    if as_json:
        print_json(findings.model_dump(mode="json"))
    else:
        shown.print_findings(findings)
    if findings.count:
        raise typer.Exit(1)


@rules_app.command()
def merge(
    rule_sets: Annotated[list[Path], typer.Argument(metavar="A B [C...]", help="rule sets, two or more")],
    out: Annotated[Path, typer.Option(help="rule set to write")],
    similarity: Annotated[
        float, typer.Option(min=0.01, max=1, help="cosine from which two rules become one; 1 for the same words only")
    ] = 0.9,
    verification_of: Annotated[
        int | None, typer.Option(help="number of the set whose verification and reward are taken, from 1")
    ] = None,
    by: By = None,
    force: Force = False,
    debug: Debug = False,
) -> None:
    """Join rule sets into one, without a model: near duplicates fold into the better supported rule."""
    if len(rule_sets) < 2:
        raise ConfigError(f"only {rule_sets[0]} is given; give two rule sets or more")
    check_free(out, force)
    sets = [load_rule_set(path) for path in rule_sets]
    merged = merge_rule_sets(sets, [str(path) for path in rule_sets], user_name(by), similarity, verification_of)
    save_rule_set(out, merged)
    new_edits = merged.history[len(joined_history(sets)) :]
    shown.print_edits([edit for edit in new_edits if edit.before != edit.after])
    n_rules = sum(len(rules.rules) for rules in sets)
    shown.print_note(f"{n_rules} rules of {len(sets)} sets, {n_rules - len(merged.rules)} joined to others")
    shown.print_written(out, merged)


@rules_app.command()
def edit(
    rule_set: RuleSetFile,
    reword: Annotated[
        list[str] | None, typer.Option("--reword", metavar="ID", help="rule to give another --text")
    ] = None,
    text: Annotated[list[str] | None, typer.Option(help="the new text of the rule that --reword names")] = None,
    drop: Annotated[list[str] | None, typer.Option("--drop", metavar="ID", help="rule to take out")] = None,
    pin: Annotated[list[str] | None, typer.Option("--pin", metavar="ID", help="rule to keep in any case")] = None,
    unpin: Annotated[list[str] | None, typer.Option("--unpin", metavar="ID", help="rule to pin no longer")] = None,
    add: Annotated[list[str] | None, typer.Option("--add", metavar="TEXT", help="text of a new rule")] = None,
    check: Annotated[
        list[str] | None,
        typer.Option("--check", metavar="ID=JSON", help="code that decides a rule (docs/rewards.md); ID= for none"),
    ] = None,
    aspect: Annotated[
        list[str] | None, typer.Option("--aspect", metavar="ID=NAME", help="what a rule is about; ID= for nothing")
    ] = None,
    by: By = None,
    reason: Annotated[str | None, typer.Option(help="why, for the history")] = None,
    out: Annotated[Path | None, typer.Option(help="file to write (default: the rule set itself)")] = None,
    force: Force = False,
    debug: Debug = False,
) -> None:
    """Change rules by hand; the history keeps who changed what. An ID may be the beginning of one."""
    if len(reword or ()) != len(text or ()):
        raise ConfigError(
            f"--reword ID and --text TEXT go together; {len(reword or ())} of the one and {len(text or ())} of the "
            "other are given"
        )
    before = load_rule_set(rule_set)
    target = out or rule_set
    if target.resolve() != rule_set.resolve():
        check_free(target, force)
    changes = Changes(
        list(zip(reword or (), text or (), strict=True)),
        drop or (),
        pin or (),
        unpin or (),
        add or (),
        _assignments(check, "--check"),
        _assignments(aspect, "--aspect"),
    )
    after = apply(before, changes, user_name(by), reason)
    save_rule_set(target, after)
    known = {rule.rule_id for rule in before.rules}
    new_rules = [rule for rule in after.rules if rule.rule_id not in known]
    shown.print_warnings(Findings(n_rules=len(new_rules), faults=faults_of(new_rules)))
    shown.print_edits(after.history[len(before.history) :])
    shown.print_written(target, after)


def _assignments(values: list[str] | None, option: str) -> list[tuple[str, str]]:
    pairs = [value.partition("=") for value in values or ()]
    if bad := [name for name, equals, _ in pairs if not equals]:
        raise ConfigError(f"{option} {bad[0]!r}: give a rule's id, = and the value")
    return [(name, value) for name, _, value in pairs]


def _with_lineage(rule: Rule, lineage: RuleLineage | None) -> dict[str, Any]:
    unknown = lineage is None and rule.candidate_ids
    candidates = None if unknown else [c.model_dump(mode="json") for c in (lineage.candidates if lineage else ())]
    return {**rule.model_dump(mode="json"), "candidates": candidates}
