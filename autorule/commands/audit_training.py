"""`autorule audit-training`: was a reward had without earning it?"""

from pathlib import Path
from typing import Annotated

import typer

from autorule.commands.findings import check_place, write_findings
from autorule.commands.options import AsJson, given
from autorule.commands.settings import mapping
from autorule.config.layers import build_config
from autorule.errors import ConfigError, InputError
from autorule.terminal.console import print_error, print_json
from autorule.terminal.training_audit import SIGNS, not_measured_message, print_training_audit


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("audit-training")(audit_training)


def audit_training(
    log: Annotated[
        Path, typer.Argument(help="rewards by step: .jsonl, .csv, .parquet, or TRL's folder of completions_*.parquet")
    ],
    columns: Annotated[
        list[str] | None, typer.Option(help="OURS=THEIRS,...; reward=NAME for a reward function of TRL")
    ] = None,
    threshold: Annotated[float | None, typer.Option(help="rule fraction that is saturated (default: 0.95)")] = None,
    hold: Annotated[int | None, typer.Option(help="logged steps that it must last (default: 10)")] = None,
    window: Annotated[
        int | None, typer.Option(help="logged steps over which reward and gold part (default: a third of the log)")
    ] = None,
    collapse_share: Annotated[
        float | None, typer.Option(help="share of groups with equal rewards that is too many (default: 0.5)")
    ] = None,
    least_drift: Annotated[
        float | None, typer.Option(help="change of length over the log that counts, as a share (default: 0.1)")
    ] = None,
    fail_on: Annotated[
        str | None, typer.Option(help="saturation,divergence,collapse,length: exit code 1 when one of these was found")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="file for the findings as JSON")] = None,
    as_json: AsJson = False,
) -> None:
    """Look for signs of reward hacking in the log of a training run."""
    from autorule.audit.training import TrainingAuditConfig
    from autorule.audit.training import audit_training as audit_log

    gate = [name.strip() for name in (fail_on or "").split(",") if name.strip()]
    if unknown := [name for name in gate if name not in SIGNS]:
        raise ConfigError(f"--fail-on {unknown[0]!r}: name some of {', '.join(SIGNS)}")
    options = {
        "columns": mapping(columns, "--columns"),
        "threshold": threshold,
        "hold": hold,
        "window": window,
        "collapse_share": collapse_share,
        "least_drift": least_drift,
    }
    check_place(out)
    found = audit_log(log, build_config(TrainingAuditConfig, given(options)))
    write_findings(out, found.model_dump_json(indent=2), quiet=as_json)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        print_training_audit(found)
    if absent := [name for name in gate if name in found.not_measured]:
        raise InputError(not_measured_message(found, absent))
    if hit := [name for name in gate if name in found.findings]:
        print_error(f"{log} shows {', '.join(hit)}")
        raise typer.Exit(1)
