"""`autorule export`, `export-data`, `preferences`: what trainers read."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from autorule.command_settings import mapping, model_options, settings_of
from autorule.completions import read_completions
from autorule.errors import ConfigError, InputError, in_words
from autorule.export import TARGETS, export_rule_set
from autorule.export import training_data as data
from autorule.export.rubrics import healthbench_rows
from autorule.preferences.messages import FieldError, as_messages
from autorule.preferences.readers import BadRow, read_rows
from autorule.records import Completion, Messages, RewardRecord, Rule
from autorule.rewards.settings import RewardSettings
from autorule.rule_sets import RuleSet, load_rule_set
from autorule.run_folder import MANIFEST, REWARDS
from autorule.storage import write_text
from autorule.verdict_tables import read_rewards

Columns = Annotated[str | None, typer.Option(help="OURS=THEIRS,...: which columns of the file to read")]
PREFERENCE_ROWS: dict[str, Callable[[data.Preference], dict[str, Any]]] = {
    "trl": data.trl_row,
    "llama-factory": data.llama_factory_row,
    "nemo-rl": data.nemo_rl_row,
}


def register(app: typer.Typer) -> None:
    app.command()(export)
    app.command("export-data")(export_data)
    app.command("preferences")(write_preferences)


def export(
    rule_set: Annotated[Path, typer.Argument(metavar="RULE_SET", help="rule set: 03_rule_set.json of a run")],
    to: Annotated[str, typer.Option(help=", ".join(TARGETS))],
    out: Annotated[Path, typer.Option(help="folder to make")],
    backend: Annotated[str | None, typer.Option(help="of the verifier, as in score")] = None,
    model: Annotated[str | None, typer.Option(help="of the verifier, as in score")] = None,
    base_url: Annotated[list[str] | None, typer.Option(help="of the verifier, as in score")] = None,
    api_key_env: Annotated[str | None, typer.Option(help="of the verifier, as in score")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="TOML file with reward settings")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="any reward setting, such as rule_weight=0.5; may be repeated")
    ] = None,
) -> None:
    """Write a rule set as what a trainer loads: a folder with a file, the rule set, a README with the flags."""
    options = {"model": model_options(backend, model, base_url, api_key_env)}
    settings = settings_of(RewardSettings, options, config, set_)
    for path in export_rule_set(load_rule_set(rule_set), settings, to, out):
        typer.echo(f"{path}")


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


def write_preferences(
    run: Annotated[Path, typer.Argument(help="folder of a scoring run")],
    to: Annotated[str, typer.Option(help=", ".join(PREFERENCE_ROWS))],
    out: Annotated[Path, typer.Option(help="JSON-lines file to write")],
    margin: Annotated[float, typer.Option(min=0, help="least difference of the two rewards")] = 0.0,
    every_pair: Annotated[
        bool, typer.Option("--every-pair", help="every two completions of a prompt, not the best against the worst")
    ] = False,
    completions: Annotated[
        Path | None, typer.Option(help="the completions that were scored, when they were moved since")
    ] = None,
) -> None:
    """Write preference pairs out of scored completions: of each prompt, what the rules reward most and least."""
    if to not in PREFERENCE_ROWS:
        raise ConfigError(f"--to {to!r}: use one of {', '.join(PREFERENCE_ROWS)}")
    pairs = data.preferences(_read_scored(run, completions), margin, every_pair)
    n = data.write_jsonl(out, (PREFERENCE_ROWS[to](pair) for pair in pairs))
    typer.echo(f"{out}: {n} pairs")
    if to == "llama-factory":
        info = out.with_name("dataset_info.json")
        write_text(info, json.dumps({out.stem: {"file_name": out.name, **data.LLAMA_FACTORY_INFO}}, indent=2) + "\n")
        typer.echo(f"{info}: the entry for LLaMA-Factory's dataset_info.json")


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


def _read_scored(run: Path, completions: Path | None) -> Iterator[tuple[Completion, RewardRecord]]:
    """Completions with their rewards. Raises InputError when they are not those that were scored."""
    try:
        manifest = json.loads((run / MANIFEST).read_text(encoding="utf-8"))
        flow, config = manifest["flow"], manifest["config"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{run} is no folder of a scoring run: {MANIFEST}: {in_words(error)}") from error
    if "completions" not in config:
        raise InputError(f"{run} is a run of {flow}, not of scoring; give the run folder that `autorule score` printed")
    path, columns = completions or Path(config["completions"]), config["columns"]
    if not (run / REWARDS).exists():
        raise InputError(f"{run} has no {REWARDS}: the run has not completed; run the same command again")
    rewards = {record.row: record for record in read_rewards(run / REWARDS)}
    for row in read_completions(path, columns):
        record = rewards.get(row.row)
        if record is None or not isinstance(row, Completion):
            continue
        if record.completion_id != row.completion_id:
            raise InputError(f"{path}, row {row.row} is not what was scored in {run}; give the file with --completions")
        yield row, record
