"""`autorule verifier ...`: is a verifier good enough to reward with?"""

from pathlib import Path
from typing import Annotated, get_args

import typer

from autorule.calibration import CalibrationConfig, calibrate
from autorule.command_settings import given, mapping, model_options, settings_of
from autorule.errors import ConfigError
from autorule.labels import Source, read_labels
from autorule.rule_editing import check_free, save_rule_set, user_name
from autorule.rule_sets import load_rule_set
from autorule.storage import write_text
from autorule.verifier_check import CheckConfig, CheckReport, check_verifier, draw_reliability, sample_labels
from autorule.verifier_terminal import print_calibration, print_verifier_check
from autorule.work_terminal import how_to_go_on, work_shown

verifier_app = typer.Typer(help="The verifier.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(verifier_app, name="verifier")


SideFile = Annotated[
    Path | None, typer.Option(help="prompts of ifeval, propositions of rbr_gold (default: beside the file)")
]
Columns = Annotated[str | None, typer.Option(help="OURS=THEIRS,...: which columns of the file to read")]


@verifier_app.command("check")
def check(
    labels: Annotated[Path, typer.Argument(help="rows of prompt, completion, rule, satisfied; or see --source")],
    source: Annotated[str, typer.Option(help="rows, ifeval or rbr_gold: how the file is laid out")] = "rows",
    side_file: SideFile = None,
    sample: Annotated[int | None, typer.Option(min=1, help="completions drawn by seed; all if left out")] = None,
    seed: Annotated[int, typer.Option(help="of the draw")] = 0,
    mode: Annotated[list[str] | None, typer.Option(help="direct, reasoned or joint; may be repeated")] = None,
    backend: Annotated[str | None, typer.Option(help="as in score")] = None,
    model: Annotated[str | None, typer.Option(help="as in score")] = None,
    base_url: Annotated[list[str] | None, typer.Option(help="as in score")] = None,
    api_key_env: Annotated[str | None, typer.Option(help="as in score")] = None,
    columns: Columns = None,
    out: Annotated[Path, typer.Option(help="folder for the report")] = Path("outputs/verifier_check"),
    cache: Annotated[Path | None, typer.Option(help="cache file (default: outputs/cache/answers.sqlite)")] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="ask everything anew and keep nothing")] = False,
    config: Annotated[Path | None, typer.Option("--config", help="TOML file with any settings")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="any setting; may be repeated")] = None,
) -> None:
    """Measure verdicts against labels: accuracy, calibration, stability, speed; and suggest thresholds."""
    options = {
        "model": model_options(backend, model, base_url, api_key_env),
        "cache": given({"path": cache, "enabled": False if no_cache else None}),
        "columns": mapping(columns, "--columns"),
        "modes": tuple(mode) if mode else None,
        "sample": sample,
        "seed": seed,
    }
    settings = settings_of(CheckConfig, options, config, set_)
    drawn = sample_labels(
        read_labels(labels, _layout(source), settings.columns, side_file), settings.sample, settings.seed
    )
    with work_shown(how_to_go_on(settings.cache.enabled)):
        reports = list(check_verifier(drawn, settings))
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "report.json", f"[{', '.join(report.model_dump_json(indent=2) for report in reports)}]\n")
    print_verifier_check(reports)
    _draw(reports, out)
    typer.echo(f"report: {out / 'report.json'}")


@verifier_app.command("calibrate")
def calibrate_(
    rule_set: Annotated[Path, typer.Argument(help="rule set: 03_rule_set.json of a run")],
    labels: Annotated[Path, typer.Argument(help="rows of prompt, completion, rule, satisfied; or see --source")],
    out: Annotated[Path, typer.Option(help="rule set to write")],
    source: Annotated[str, typer.Option(help="rows, ifeval or rbr_gold: how the file is laid out")] = "rows",
    side_file: SideFile = None,
    backend: Annotated[str | None, typer.Option(help="as in score")] = None,
    model: Annotated[str | None, typer.Option(help="as in score")] = None,
    base_url: Annotated[list[str] | None, typer.Option(help="as in score")] = None,
    api_key_env: Annotated[str | None, typer.Option(help="as in score")] = None,
    columns: Columns = None,
    by: Annotated[str | None, typer.Option(help="name for the history (default: the user of this computer)")] = None,
    force: Annotated[bool, typer.Option("--force", help="overwrite the file if it exists")] = False,
    config: Annotated[Path | None, typer.Option("--config", help="TOML file with any settings")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="any setting; may be repeated")] = None,
) -> None:
    """Give each rule with enough labels (20, five of either answer) the threshold that suits this verifier.

    A rule keeps its threshold unless another does better on labels that it was not chosen from.
    """
    check_free(out, force)
    options = {
        "model": model_options(backend, model, base_url, api_key_env),
        "columns": mapping(columns, "--columns"),
    }
    settings = settings_of(CalibrationConfig, options, config, set_)
    own = read_labels(labels, _layout(source), settings.columns, side_file)
    with work_shown(how_to_go_on(settings.cache.enabled)):
        calibrated, found = calibrate(load_rule_set(rule_set), own, settings, user_name(by))
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
