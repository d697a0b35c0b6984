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
from autorule.errors import RunFailedError
from autorule.runs.files import REWARDS
from autorule.runs.input_files import together
from autorule.terminal.runs import print_scoring


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(grouped(score))


def score(
    completions: Annotated[
        list[Path], typer.Argument(metavar="COMPLETIONS", help="rows of prompt and completion, or of messages")
    ],
    rules: Annotated[Path, typer.Option(help=RULE_SET_HELP)],
    model: VerifierOptions,
    cache: CacheOptions,
    run: RunOptions,
    settings: SettingOptions,
    columns: Columns = None,
    debug: Debug = False,
) -> None:
    """Score completions against a rule set. Exit code 3 when none of them got a reward."""
    options = {**run_settings(model, cache, run, columns), "completions": together(completions), "rules": rules}
    scoring = settings_of(ScoreConfig, options, settings)
    manifest = run_flow("score_completions", scoring, run.prefect)
    print_scoring(scoring.outputs / manifest.run_id, manifest)
    funnel = manifest.funnel
    if funnel.completions and funnel.rewards_unscored == funnel.completions:
        raise RunFailedError(
            f"none of the {funnel.completions} completions got a reward; unscored_reason in {REWARDS} says why"
        )
