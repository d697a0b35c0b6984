"""`autorule score`: rewards of completions by a rule set."""

from pathlib import Path
from typing import Annotated

import typer

from autorule.commands.flow_running import run_flow
from autorule.commands.options import (
    RULE_SET_HELP,
    CacheOptions,
    Columns,
    Debug,
    RunOptions,
    SettingOptions,
    VerifierOptions,
    grouped,
)
from autorule.commands.settings import run_settings, settings_of
from autorule.config.runs import ScoreConfig
from autorule.terminal.runs import print_scoring


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(grouped(score))


def score(
    completions: Annotated[Path, typer.Argument(help="rows of prompt and completion, or of messages")],
    rules: Annotated[Path, typer.Option(help=RULE_SET_HELP)],
    model: VerifierOptions,
    cache: CacheOptions,
    run: RunOptions,
    settings: SettingOptions,
    columns: Columns = None,
    debug: Debug = False,
) -> None:
    """Score completions against a rule set."""
    options = {**run_settings(model, cache, run, columns), "completions": completions, "rules": rules}
    scoring = settings_of(ScoreConfig, options, settings)
    manifest = run_flow("score_completions", scoring, run.prefect)
    print_scoring(scoring.outputs / manifest.run_id, manifest)
