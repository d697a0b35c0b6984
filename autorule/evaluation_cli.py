"""`autorule evaluate`: how much rules are worth, by held-out pairs."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from autorule import evaluation_terminal, terminal
from autorule.command_options import Debug
from autorule.command_settings import mapping, run_options, settings_of
from autorule.errors import ConfigError, RunFailedError
from autorule.run_folder import EVALUATION, MANIFEST, new_run_id

RunFlow = Callable[[str, Any, bool | None], Any]


def register(app: typer.Typer, run_flow: RunFlow) -> None:
    """Adds the command; `run_flow` runs a flow by its name."""

    @app.command()
    def evaluate(
        rule_set: Annotated[Path, typer.Argument(metavar="RULE_SET", help="rule set: 03_rule_set.json of a run")],
        pairs: Annotated[Path | None, typer.Argument(help="held-out preference pairs, as for extract")] = None,
        verdicts: Annotated[
            Path | None,
            typer.Option(help="folder of a run on held-out pairs: its verdicts are read, no model is asked"),
        ] = None,
        limit: Annotated[int | None, typer.Option(help="pairs drawn by seed; all if left out")] = None,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="show calls, tokens and cost by stage; send no prompt")
        ] = False,
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
        backend: Annotated[str | None, typer.Option(help="of the verifier, as in score")] = None,
        model: Annotated[str | None, typer.Option(help="of the verifier, as in score")] = None,
        base_url: Annotated[list[str] | None, typer.Option(help="of the verifier, as in score")] = None,
        api_key_env: Annotated[str | None, typer.Option(help="of the verifier, as in score")] = None,
        columns: Annotated[str | None, typer.Option(help="OURS=THEIRS,...; strength=NAME: how strong it was")] = None,
        winner_values: Annotated[str | None, typer.Option(help="a=...,b=...,tie=...: values of the winner")] = None,
        out: Annotated[str | None, typer.Option(help="folder for run folders, or URL such as s3://bucket/out")] = None,
        run_id: Annotated[str | None, typer.Option(help="name of the run folder; made up if left out")] = None,
        cache: Annotated[Path | None, typer.Option(help="cache file")] = None,
        no_cache: Annotated[bool, typer.Option("--no-cache", help="ask everything anew and keep nothing")] = False,
        config: Annotated[Path | None, typer.Option("--config", help="TOML file with any settings")] = None,
        set_: Annotated[list[str] | None, typer.Option("--set", help="any setting; may be repeated")] = None,
        prefect: Annotated[bool | None, typer.Option("--prefect/--no-prefect", help="as in score")] = None,
        as_json: Annotated[
            bool, typer.Option("--json", help="the evaluation as JSON on stdout, and nothing else there")
        ] = False,
        debug: Debug = False,
    ) -> None:
        """Measure rules on held-out pairs: agreement with people, rule by rule and of the set.

        Exit code 3 when results are missing: the verifier failed on too many pairs, or a part of the run failed. What
        was found is shown and written all the same.
        """
        if (pairs is None) == (verdicts is None):
            raise ConfigError("give the held-out pairs, or --verdicts with the folder of an evaluation")
        if dry_run and as_json:
            raise ConfigError("--dry-run shows a table, and --json an evaluation: give one of them")
        if allow_leakage and leave_out_leaked:
            raise ConfigError("--allow-leakage counts the pairs that --leave-out-leaked leaves out: give one of them")
        options = {
            **run_options(backend, model, base_url, api_key_env, columns, out, run_id, cache, no_cache),
            "winner_values": mapping(winner_values, "--winner-values"),
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
            _refuse({**options, "config": config, "set": set_, "prefect": prefect or None, "dry_run": dry_run or None})
            folder, failed = _evaluate_anew(rule_set, verdicts, options)
        else:
            settings = _settings({**options, "pairs": pairs, "rules": rule_set}, config, set_)
            if dry_run:
                from autorule.flow_running import forecast_evaluation

                return terminal.print_forecast(forecast_evaluation(settings))
            folder, failed = _run(run_flow, settings, prefect)
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


def _settings(options: dict[str, Any], config: Path | None, set_: list[str] | None) -> Any:
    """With a run id, so that the folder is known also of a run that fails."""
    from autorule.evaluation.config import EvaluateConfig

    settings = settings_of(EvaluateConfig, options, config, set_)
    return settings if settings.run_id else settings.model_copy(update={"run_id": new_run_id(settings.pairs)})


def _run(run_flow: RunFlow, settings: Any, prefect: bool | None) -> tuple[Path, RunFailedError | None]:
    """The run folder, and why its results are not whole; raises that where there is no evaluation at all."""
    from autorule.evaluation.run_manifest import read_manifest

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
        print(found.model_dump_json(indent=2))
        print(f"run folder: {folder}", file=sys.stderr)
        return
    evaluation_terminal.print_evaluation(found)
    evaluation_terminal.print_end(folder, read_manifest(folder), found)
