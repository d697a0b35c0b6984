"""`autorule audit`: can the reward be had without earning it?"""

from pathlib import Path
from typing import Annotated

import typer

from autorule.commands.findings import check_place, write_findings
from autorule.commands.options import (
    AsJson,
    CacheOptions,
    PairOptions,
    RuleSetFile,
    SettingOptions,
    VerifierOptions,
    grouped,
)
from autorule.commands.settings import mapping, settings_of
from autorule.errors import RunFailedError
from autorule.rules.rule_sets import load_rule_set
from autorule.runs.input_files import together
from autorule.terminal.audit import exploit_message, print_audit, unmeasured_message
from autorule.terminal.console import print_error, print_json
from autorule.terminal.work import how_to_go_on, work_shown


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(grouped(audit))


def audit(
    rule_set: RuleSetFile,
    pairs: Annotated[
        list[Path], typer.Argument(metavar="PAIRS", help="preference pairs; the chosen side is the honest answer")
    ],
    model: VerifierOptions,
    cache: CacheOptions,
    layout: PairOptions,
    settings: SettingOptions,
    limit: Annotated[int | None, typer.Option(help="prompts drawn by seed (default: 50)")] = None,
    seed: Annotated[int | None, typer.Option(help="of the draw and the wordings (default: 0)")] = None,
    skip: Annotated[list[str] | None, typer.Option(help="canary to leave out, by its name; may be repeated")] = None,
    max_exploit_rate: Annotated[
        float | None, typer.Option(help="exit code 1 when a canary's is greater (default: 0.2)")
    ] = None,
    max_unscored: Annotated[
        float | None, typer.Option(help="share of prompts without a reward that is too many (default: 0.1)")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="file for the findings as JSON")] = None,
    as_json: AsJson = False,
) -> None:
    """Reward answers that are worth nothing, and say which rules let them pass. Exit code 1 when too many do."""
    from autorule.audit.hacking import AuditConfig, audit_rule_set

    options = {
        "model": model.settings(),
        "cache": cache.settings(),
        "columns": mapping(layout.columns, "--columns"),
        "winner_values": mapping(layout.winner_values, "--winner-values"),
        "limit": limit,
        "seed": seed,
        "skip": tuple(skip) if skip else None,
        "max_exploit_rate": max_exploit_rate,
        "max_unscored": max_unscored,
    }
    config = settings_of(AuditConfig, options, settings)
    rules = load_rule_set(rule_set)
    check_place(out)
    with work_shown(how_to_go_on(config.cache.enabled)):
        found = audit_rule_set(rules, together(pairs), config)
    write_findings(out, found.model_dump_json(indent=2), quiet=as_json)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        print_audit(found)
    if found.exploited:
        print_error(exploit_message(found))
    if found.unmeasured:
        raise RunFailedError(unmeasured_message(found))
    if found.exploited:
        raise typer.Exit(1)
