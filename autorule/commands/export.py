"""`autorule export`: a rule set as what a trainer loads."""

from pathlib import Path
from typing import Annotated

import typer

from autorule.commands.options import RuleSetFile, SettingOptions, VerifierOptions, grouped
from autorule.commands.settings import settings_of
from autorule.export import TARGETS, export_rule_set
from autorule.rewards.settings import RewardSettings
from autorule.rules.rule_sets import load_rule_set


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(grouped(export))


def export(
    rule_set: RuleSetFile,
    to: Annotated[str, typer.Option(help=", ".join(TARGETS))],
    out: Annotated[Path, typer.Option(help="folder to make")],
    model: VerifierOptions,
    settings: SettingOptions,
) -> None:
    """Write a rule set as what a trainer loads: a folder with a file, the rule set, a README with the flags.

    Settings are those of a reward, such as --set rule_weight=0.5.
    """
    reward = settings_of(RewardSettings, {"model": model.settings()}, settings)
    for path in export_rule_set(load_rule_set(rule_set), reward, to, out):
        typer.echo(f"{path}")
