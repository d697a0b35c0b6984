"""`autorule preferences`: preference pairs out of scored completions."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from autorule.errors import ConfigError, InputError, in_words
from autorule.export import training_data as data
from autorule.preferences.completions import read_completions
from autorule.records import Completion, RewardRecord
from autorule.runs.files import MANIFEST, REWARDS
from autorule.storage import write_text
from autorule.verification.verdict_tables import read_rewards

PREFERENCE_ROWS: dict[str, Callable[[data.Preference], dict[str, Any]]] = {
    "trl": data.trl_row,
    "llama-factory": data.llama_factory_row,
    "nemo-rl": data.nemo_rl_row,
}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(preferences)


def preferences(
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
