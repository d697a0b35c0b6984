"""`autorule verifier ...`: is a verifier good enough to reward with?"""

from pathlib import Path
from typing import Annotated, get_args

import typer

from autorule.commands.options import (
    By,
    CacheOptions,
    Columns,
    Force,
    RuleSetFile,
    SettingOptions,
    VerifierOptions,
    grouped,
)
from autorule.commands.settings import mapping, settings_of
from autorule.errors import ConfigError
from autorule.rules.rule_sets import load_rule_set
from autorule.rules.saving import check_free, save_rule_set, user_name
from autorule.storage import write_text
from autorule.terminal.verifier import print_calibration, print_verifier_check
from autorule.terminal.work import how_to_go_on, work_shown
from autorule.verification.calibration import CalibrationConfig, calibrate
from autorule.verification.check import CheckConfig, CheckReport, check_verifier, draw_reliability, sample_labels
from autorule.verification.labels import Source, read_labels

verifier_app = typer.Typer(help="The verifier.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(verifier_app, name="verifier")


SideFile = Annotated[
    Path | None, typer.Option(help="prompts of ifeval, propositions of rbr_gold (default: beside the file)")
]


@verifier_app.command("check")
@grouped
def check(
    labels: Annotated[Path, typer.Argument(help="rows of prompt, completion, rule, satisfied; or see --source")],
    model: VerifierOptions,
    cache: CacheOptions,
    settings: SettingOptions,
    source: Annotated[str, typer.Option(help="rows, ifeval or rbr_gold: how the file is laid out")] = "rows",
    side_file: SideFile = None,
    sample: Annotated[int | None, typer.Option(min=1, help="completions drawn by seed; all if left out")] = None,
    seed: Annotated[int, typer.Option(help="of the draw")] = 0,
    mode: Annotated[list[str] | None, typer.Option(help="direct, reasoned or joint; may be repeated")] = None,
    columns: Columns = None,
    out: Annotated[Path, typer.Option(help="folder for the report")] = Path("outputs/verifier_check"),
) -> None:
    """Measure verdicts against labels: accuracy, calibration, stability, speed; and suggest thresholds."""
    options = {
        "model": model.settings(),
        "cache": cache.settings(),
        "columns": mapping(columns, "--columns"),
        "modes": tuple(mode) if mode else None,
        "sample": sample,
        "seed": seed,
    }
    config = settings_of(CheckConfig, options, settings)
    drawn = sample_labels(read_labels(labels, _layout(source), config.columns, side_file), config.sample, config.seed)
    with work_shown(how_to_go_on(config.cache.enabled)):
        reports = list(check_verifier(drawn, config))
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "report.json", f"[{', '.join(report.model_dump_json(indent=2) for report in reports)}]\n")
    print_verifier_check(reports)
    _draw(reports, out)
    typer.echo(f"report: {out / 'report.json'}")


@verifier_app.command("calibrate")
@grouped
def calibrate_(
    rule_set: RuleSetFile,
    labels: Annotated[Path, typer.Argument(help="rows of prompt, completion, rule, satisfied; or see --source")],
    out: Annotated[Path, typer.Option(help="rule set to write")],
    model: VerifierOptions,
    settings: SettingOptions,
    source: Annotated[str, typer.Option(help="rows, ifeval or rbr_gold: how the file is laid out")] = "rows",
    side_file: SideFile = None,
    columns: Columns = None,
    by: By = None,
    force: Force = False,
) -> None:
    """Give each rule with enough labels (20, five of either answer) the threshold that suits this verifier.

    A rule keeps its threshold unless another does better on labels that it was not chosen from.
    """
    check_free(out, force)
    options = {
        "model": model.settings(),
        "columns": mapping(columns, "--columns"),
    }
    config = settings_of(CalibrationConfig, options, settings)
    own = read_labels(labels, _layout(source), config.columns, side_file)
    with work_shown(how_to_go_on(config.cache.enabled)):
        calibrated, found = calibrate(load_rule_set(rule_set), own, config, user_name(by))
    save_rule_set(out, calibrated)
    print_calibration(found)
    typer.echo(f"rule set: {out}")


def _layout(source: str) -> Source:
    layout: Source | None = next((known for known in get_args(Source) if known == source), None)
    if layout is None:
        raise ConfigError(f"--source {source!r}: use one of {', '.join(get_args(Source))}")
    return layout


def _draw(reports: list[CheckReport], out: Path) -> None:
    try:
        draw_reliability(reports, out / "reliability.png")
    except ImportError:
        typer.echo("pip install 'autorule[report]' draws the reliability picture, too")
