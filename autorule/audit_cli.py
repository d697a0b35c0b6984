"""`autorule audit` and `audit-training`: can the reward be had without earning it, and was it?"""

from errno import EISDIR
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated

import typer

from autorule import audit_terminal, terminal
from autorule import training_audit_terminal as shown
from autorule.command_settings import given, mapping, model_options, settings_of
from autorule.config_layers import build_config
from autorule.errors import ConfigError, InputError, RunFailedError
from autorule.rule_sets import load_rule_set
from autorule.storage import write_text
from autorule.work_terminal import how_to_go_on, work_shown


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(audit)
    app.command("audit-training")(audit_training_)


def audit(
    rule_set: Annotated[Path, typer.Argument(metavar="RULE_SET", help="rule set: 03_rule_set.json of a run")],
    pairs: Annotated[Path, typer.Argument(help="preference pairs; the chosen side is the honest answer")],
    limit: Annotated[int | None, typer.Option(help="prompts drawn by seed (default: 50)")] = None,
    seed: Annotated[int | None, typer.Option(help="of the draw and the wordings (default: 0)")] = None,
    skip: Annotated[list[str] | None, typer.Option(help="canary to leave out, by its name; may be repeated")] = None,
    max_exploit_rate: Annotated[
        float | None, typer.Option(help="exit code 1 when a canary's is greater (default: 0.2)")
    ] = None,
    max_unscored: Annotated[
        float | None, typer.Option(help="share of prompts without a reward that is too many (default: 0.1)")
    ] = None,
    backend: Annotated[str | None, typer.Option(help="of the verifier, as in score")] = None,
    model: Annotated[str | None, typer.Option(help="of the verifier, as in score")] = None,
    base_url: Annotated[list[str] | None, typer.Option(help="of the verifier, as in score")] = None,
    api_key_env: Annotated[str | None, typer.Option(help="of the verifier, as in score")] = None,
    columns: Annotated[str | None, typer.Option(help="OURS=THEIRS,...: which columns of the file to read")] = None,
    winner_values: Annotated[str | None, typer.Option(help="a=...,b=...,tie=...: values of the winner")] = None,
    out: Annotated[Path | None, typer.Option(help="file for the findings as JSON")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="print the findings as JSON, and nothing else on stdout")
    ] = False,
    cache: Annotated[Path | None, typer.Option(help="cache file (default: outputs/cache/answers.sqlite)")] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="ask everything anew and keep nothing")] = False,
    config: Annotated[Path | None, typer.Option("--config", help="TOML file with any settings")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="any setting; may be repeated")] = None,
) -> None:
    """Reward answers that are worth nothing, and say which rules let them pass. Exit code 1 when too many do."""
    from autorule.audit.hacking import AuditConfig, audit_rule_set

    options = {
        "model": model_options(backend, model, base_url, api_key_env),
        "cache": given({"path": cache, "enabled": False if no_cache else None}),
        "columns": mapping(columns, "--columns"),
        "winner_values": mapping(winner_values, "--winner-values"),
        "limit": limit,
        "seed": seed,
        "skip": tuple(skip) if skip else None,
        "max_exploit_rate": max_exploit_rate,
        "max_unscored": max_unscored,
    }
    settings = settings_of(AuditConfig, options, config, set_)
    rules = load_rule_set(rule_set)
    _check_free(out)
    with work_shown(how_to_go_on(settings.cache.enabled)):
        found = audit_rule_set(rules, pairs, settings)
    _write(out, found.model_dump_json(indent=2), quiet=as_json)
    if as_json:
        terminal.print_json(found.model_dump(mode="json"))
    else:
        audit_terminal.print_audit(found)
    if found.exploited:
        terminal.print_error(audit_terminal.exploit_message(found))
    if found.unmeasured:
        raise RunFailedError(audit_terminal.unmeasured_message(found))
    if found.exploited:
        raise typer.Exit(1)


def audit_training_(
    log: Annotated[
        Path, typer.Argument(help="rewards by step: .jsonl, .csv, .parquet, or TRL's folder of completions_*.parquet")
    ],
    columns: Annotated[
        str | None, typer.Option(help="OURS=THEIRS,...; reward=NAME for a reward function of TRL")
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
    as_json: Annotated[
        bool, typer.Option("--json", help="print the findings as JSON, and nothing else on stdout")
    ] = False,
) -> None:
    """Look for signs of reward hacking in the log of a training run."""
    from autorule.audit.training import TrainingAuditConfig, audit_training

    gate = [name.strip() for name in (fail_on or "").split(",") if name.strip()]
    if unknown := [name for name in gate if name not in shown.SIGNS]:
        raise ConfigError(f"--fail-on {unknown[0]!r}: name some of {', '.join(shown.SIGNS)}")
    options = {
        "columns": mapping(columns, "--columns"),
        "threshold": threshold,
        "hold": hold,
        "window": window,
        "collapse_share": collapse_share,
        "least_drift": least_drift,
    }
    _check_free(out)
    found = audit_training(log, build_config(TrainingAuditConfig, given(options)))
    _write(out, found.model_dump_json(indent=2), quiet=as_json)
    if as_json:
        terminal.print_json(found.model_dump(mode="json"))
    else:
        shown.print_training_audit(found)
    if absent := [name for name in gate if name in found.not_measured]:
        raise InputError(shown.not_measured_message(found, absent))
    if hit := [name for name in gate if name in found.findings]:
        terminal.print_error(f"{log} shows {', '.join(hit)}")
        raise typer.Exit(1)


def _check_free(out: Path | None) -> None:
    """Raises ConfigError for a place that can't be written: before the audit is paid for, not after."""
    if out is None:
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out.parent):
            pass
        if out.is_dir():
            raise IsADirectoryError(EISDIR, "it is a folder")
    except OSError as error:
        raise ConfigError(f"{out} can't be written: {error.strerror}; give another place with --out") from error


def _write(out: Path | None, text: str, quiet: bool) -> None:
    """Writes the findings before anything is judged by them, so that a failing gate leaves its evidence."""
    if out is None:
        return
    try:
        write_text(out, text + "\n")
    except OSError as error:
        raise ConfigError(f"{out} can't be written: {error.strerror}; give another place with --out") from error
    if not quiet:
        typer.echo(f"findings: {out}")
