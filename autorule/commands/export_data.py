"""`autorule export-data`: prompts as a trainer reads them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from autorule.commands.options import Columns
from autorule.commands.settings import mapping
from autorule.errors import ConfigError, InputError
from autorule.export import training_data as data
from autorule.export.rubrics import healthbench_rows
from autorule.preferences.messages import FieldError, as_messages
from autorule.preferences.readers import BadRow, read_rows
from autorule.records import Messages, Rule
from autorule.rules.rule_sets import RuleSet, load_rule_set


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("export-data")(export_data)


def export_data(
    prompts: Annotated[Path, typer.Argument(help="rows with a prompt (text or messages), and perhaps rules")],
    to: Annotated[str, typer.Option(help="verl (Parquet) or healthbench (JSON lines)")],
    out: Annotated[Path, typer.Option(help="file to write")],
    rules: Annotated[Path | None, typer.Option(help="rule set, for healthbench")] = None,
    data_source: Annotated[str, typer.Option(help="name of the data in verl's metrics")] = "rules",
    split: Annotated[str, typer.Option(help="train or test, as verl notes it")] = "train",
    columns: Columns = None,
) -> None:
    """Write prompts in a trainer's layout, with what its reward function needs beside them."""
    own = _read_prompts(prompts, mapping(columns, "--columns"))
    if to == "verl":
        n = data.write_parquet(out, data.verl_rows((row for _, row in own), data_source, split))
    elif to == "healthbench":
        if rules is None:
            raise ConfigError("healthbench rows hold the rules: give the rule set with --rules")
        rule_set = load_rule_set(rules)
        applying = [(prompt, _applying(rule_set, extra.get("rules"), prompts, row)) for row, (prompt, extra) in own]
        n = data.write_jsonl(out, (json.loads(line) for line in healthbench_rows(applying)))
    else:
        raise ConfigError(f"--to {to!r}: use verl or healthbench")
    typer.echo(f"{out}: {n} rows")


def _read_prompts(path: Path, columns: dict[str, str] | None) -> list[tuple[int, tuple[Messages, dict[str, Any]]]]:
    """Number, prompt and further columns of each row. Raises InputError for a row without a prompt, by its number."""
    theirs = (columns or {}).get("prompt", "prompt")
    found = []
    for row in read_rows(path):
        if isinstance(row, BadRow):
            raise InputError(f"{path}, row {row.number}: {row.reason.message}")
        if theirs not in row.values:
            raise InputError(f"{path}, row {row.number} has no {theirs!r}; it has {', '.join(row.values)} (--columns)")
        try:
            prompt = as_messages(row.values[theirs], theirs, "user")
        except FieldError as error:
            raise InputError(f"{path}, row {row.number}: {error}") from error
        found.append((row.number, (prompt, {name: value for name, value in row.values.items() if name != theirs})))
    return found


def _applying(rule_set: RuleSet, named: Any, path: Path, row: int) -> Sequence[Rule]:
    """The rules that a row names by their ids, all where it names none. Raises InputError for an unknown one."""
    if named is None:
        return rule_set.rules
    known = {rule.rule_id: rule for rule in rule_set.rules}
    if not isinstance(named, (list, tuple)) or (unknown := [rule_id for rule_id in named if rule_id not in known]):
        wrong = unknown[0] if isinstance(named, (list, tuple)) else named
        raise InputError(f"{path}, row {row}: rules: {wrong!r:.80} is no rule of the set; give a list of rule ids")
    return [known[rule_id] for rule_id in named]
