"""`autorule evaluate`: how much rules are worth, by held-out pairs."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autorule.commands.options import (
    AsJson,
    CacheOptions,
    Debug,
    DryRun,
    PairOptions,
    RuleSetFile,
    RunOptions,
    SettingOptions,
    VerifierOptions,
    grouped,
)
from autorule.commands.settings import mapping, run_settings, settings_of
from autorule.errors import ConfigError, RunFailedError
from autorule.runs.files import EVALUATION, MANIFEST
from autorule.runs.input_files import together
from autorule.runs.run_ids import new_run_id
from autorule.terminal.console import print_record
from autorule.terminal.evaluation import print_end, print_evaluation
from autorule.terminal.runs import print_forecast

if TYPE_CHECKING:
    from autorule.evaluation.config import EvaluateConfig


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(grouped(evaluate))


def evaluate(
    rule_set: RuleSetFile,
    model: VerifierOptions,
    cache: CacheOptions,
    run: RunOptions,
    layout: PairOptions,
    settings: SettingOptions,
    pairs: Annotated[
        list[Path] | None, typer.Argument(metavar="PAIRS", help="held-out preference pairs, as for extract")
    ] = None,
    verdicts: Annotated[
        Path | None,
        typer.Option(help="folder of a run on held-out pairs: its verdicts are read, no model is asked"),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="pairs drawn by seed; all if left out")] = None,
    dry_run: DryRun = False,
    allow_leakage: Annotated[
        bool | None, typer.Option("--allow-leakage", help="count pairs whose prompts the rules know")
    ] = None,
    leave_out_leaked: Annotated[
        bool | None, typer.Option("--leave-out-leaked", help="leave such pairs out: after select, the test part")
    ] = None,
    max_unscored: Annotated[
        float | None,
        typer.Option(help="exit code 3 when the verifier fails on a greater share of the pairs (default: 0.1)"),
    ] = None,
    slice_: Annotated[
        list[str] | None, typer.Option("--slice", help="column whose values are told apart; may be repeated")
    ] = None,
    reward_model: Annotated[
        str | None, typer.Option(help="reward model to compare with: folder or hub name; more by --set")
    ] = None,
    one_call: Annotated[
        bool | None, typer.Option("--one-call/--no-one-call", help="ask also which response is preferred")
    ] = None,
    flip_sample: Annotated[
        int | None, typer.Option(help="completions asked about in other words; 0 for none (100)")
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Measure rules on held-out pairs: agreement with people, rule by rule and of the set.

    --columns strength=NAME names how strong a preference was. Exit code 3 when results are missing: the verifier
    failed on too many pairs, or a part of the run failed. What was found is shown and written all the same.
    """
    if (not pairs) == (verdicts is None):
        raise ConfigError("give the held-out pairs, or --verdicts with the folder of an evaluation")
    if dry_run and as_json:
        raise ConfigError("--dry-run shows a table, and --json an evaluation: give one of them")
    if allow_leakage and leave_out_leaked:
        raise ConfigError("--allow-leakage counts the pairs that --leave-out-leaked leaves out: give one of them")
    options = {
        **run_settings(model, cache, run, layout.columns),
        "winner_values": mapping(layout.winner_values, "--winner-values"),
        "slices": slice_,
        "one_call": one_call,
        "flip_sample": flip_sample,
        "reward_model": None if reward_model is None else {"model": reward_model, "normalise": "none"},
        "limit": limit,
        "leave_out_leaked": leave_out_leaked,
        "allow_leakage": allow_leakage,
        "max_unscored": max_unscored,
    }
    if verdicts is not None:
        others = {"config": settings.config, "set": settings.set_, "prefect": run.prefect or None}
        _refuse({**options, **others, "dry_run": dry_run or None})
        folder, failed = _evaluate_anew(rule_set, verdicts, options)
    else:
        evaluation = _settings({**options, "pairs": together(pairs or []), "rules": rule_set}, settings)
        if dry_run:
            from autorule.commands.flow_running import forecast_evaluation

            return print_forecast(forecast_evaluation(evaluation))
        folder, failed = _run(evaluation, run.prefect)
    _show(folder, as_json)
    if failed is not None:
        raise failed


OPTIONS = {
    "model": "--backend, --model, --base-url or --api-key-env",
    "cache": "--cache or --no-cache",
    "slices": "--slice",
    "one_call": "--one-call or --no-one-call",
}
"""Of settings whose options have other names."""
WITH_VERDICTS = ("outputs", "run_id", "allow_leakage", "leave_out_leaked", "max_unscored")


def _refuse(options: dict[str, Any]) -> None:
    """Options that would change verdicts that are there already."""
    given = [name for name, value in options.items() if value not in (None, {}, []) and name not in WITH_VERDICTS]
    if given:
        names = ", ".join(OPTIONS.get(name, f"--{name.replace('_', '-')}") for name in given)
        raise ConfigError(f"--verdicts reads what a run left: leave out {names}")


def _settings(options: dict[str, Any], further: SettingOptions) -> "EvaluateConfig":
    """With a run id, so that the folder is known also of a run that fails."""
    from autorule.evaluation.config import EvaluateConfig

    settings = settings_of(EvaluateConfig, options, further)
    return settings if settings.run_id else settings.model_copy(update={"run_id": new_run_id(settings.pairs)})


def _run(settings: "EvaluateConfig", prefect: bool | None) -> tuple[Path, RunFailedError | None]:
    """The run folder, and why its results are not whole; raises that where there is no evaluation at all."""
    from autorule.commands.flow_running import run_flow
    from autorule.evaluation.run_manifest import read_manifest

    assert settings.run_id is not None
    folder = settings.outputs / settings.run_id
    try:
        run_flow("evaluate_rules", settings, prefect)
    except RunFailedError as error:
        if not (folder / MANIFEST).exists() or EVALUATION not in read_manifest(folder).files:
            raise
        return folder, error
    return folder, None


def _evaluate_anew(rule_set: Path, verdicts: Path, options: dict[str, Any]) -> tuple[Path, RunFailedError | None]:
    from autorule.evaluation.anew import Asked, evaluate_anew
    from autorule.evaluation.reading import read_evaluation
    from autorule.evaluation.run_manifest import read_manifest
    from autorule.evaluation.too_many_failures import MOST_UNSCORED, unscored_message
    from autorule.storage import to_folder

    asked = Asked(
        allow_leakage=bool(options["allow_leakage"]),
        leave_out_leaked=bool(options["leave_out_leaked"]),
        out=None if options["outputs"] is None else to_folder(options["outputs"]),
        run_id=options["run_id"],
        max_unscored=options["max_unscored"],
    )
    folder = evaluate_anew(rule_set, verdicts, asked)
    most = options["max_unscored"]
    if most is None:
        most = read_manifest(folder).config.get("max_unscored", MOST_UNSCORED)
    message = unscored_message(read_evaluation(folder), most)
    return folder, None if message is None else RunFailedError(message)


def _show(folder: Path, as_json: bool) -> None:
    from autorule.evaluation.reading import read_evaluation
    from autorule.evaluation.run_manifest import read_manifest

    found = read_evaluation(folder)
    if as_json:
        print_record(found)
        print(f"run folder: {folder}", file=sys.stderr)
        return
    print_evaluation(found)
    print_end(folder, read_manifest(folder), found)
