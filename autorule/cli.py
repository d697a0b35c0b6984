"""The command line."""

import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from autorule import __version__, terminal
from autorule.audit_cli import register as register_audits
from autorule.command_settings import given, mapping, model_options, run_options, settings_of
from autorule.compare_cli import register as register_comparison
from autorule.config import CacheConfig, ExtractConfig, ScoreConfig
from autorule.errors import AutoruleError, ConfigError, MissingExtraError, RunFailedError
from autorule.evaluation_cli import register as register_evaluation
from autorule.export_cli import register as register_exports
from autorule.prefect_cli import prefect_app
from autorule.registry_cli import register as register_registry
from autorule.report_cli import register as register_report
from autorule.reward_cli import reward_app, serve_
from autorule.rules_cli import rules_app
from autorule.select_cli import register as register_selection
from autorule.stage_config import Config
from autorule.verifier_cli import verifier_app

app = typer.Typer(
    help="Mine rules from preference data and turn them into rewards.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cache_app = typer.Typer(help="The cache of model answers.", no_args_is_help=True)
app.add_typer(cache_app, name="cache")
app.add_typer(rules_app, name="rules")
app.add_typer(verifier_app, name="verifier")
app.add_typer(reward_app, name="reward")
app.add_typer(prefect_app, name="prefect")
register_exports(app)
register_evaluation(
    app, lambda *arguments: _run(*arguments), lambda config: _forecast(config), lambda value: _set_debug(value)
)
register_selection(app, lambda value: _set_debug(value))
register_audits(app)
register_comparison(app, lambda value: _set_debug(value))
register_report(app)
register_registry(app)
app.command("serve")(serve_)

_debug = False


def _set_debug(value: bool) -> None:
    global _debug
    _debug = _debug or value


Backend = Annotated[str | None, typer.Option(help="transformers_local, openai_compatible or scripted")]
Model = Annotated[
    str | None, typer.Option(help="name on the server, or folder or hub name; the embedded one if left out")
]
BaseUrl = Annotated[
    list[str] | None,
    typer.Option(help="OpenAI-compatible server, such as http://127.0.0.1:8000/v1; repeat it for several of one model"),
]
ApiKeyEnv = Annotated[str | None, typer.Option(help="name of the environment variable that holds the server's key")]
Out = Annotated[str | None, typer.Option(help="folder for run folders, or URL such as s3://bucket/outputs")]
RunId = Annotated[str | None, typer.Option(help="name of the run folder; made up if left out")]
CachePath = Annotated[Path | None, typer.Option(help="cache file (default: outputs/cache/answers.sqlite)")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="ask everything anew and keep nothing")]
Columns = Annotated[str | None, typer.Option(help="OURS=THEIRS,...: which columns of the file to read")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file with any settings")]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="any setting, such as mining.max_rules=5; may be repeated")
]
Prefect = Annotated[
    bool | None,
    typer.Option("--prefect/--no-prefect", help="run as a Prefect flow (default: when PREFECT_API_URL is set)"),
]
Debug = Annotated[bool, typer.Option("--debug", callback=_set_debug, help="show the whole trace of an error")]


@app.command()
def extract(
    pairs: Annotated[Path, typer.Argument(help="preference pairs: .jsonl, .json, .csv or .parquet")],
    limit: Annotated[int | None, typer.Option(help="pairs drawn by seed; all if left out")] = None,
    draw: Annotated[
        str | None, typer.Option(help="random, stratified, diverse or contrastive (default: random)")
    ] = None,
    keep_ties: Annotated[
        bool | None, typer.Option("--keep-ties", help="mine ties too, as a negative control that yields no rule")
    ] = None,
    check_chains: Annotated[
        bool,
        typer.Option("--check-chains", help="ask for the winner from each chain alone, and mark those that mislead"),
    ] = False,
    held_out: Annotated[Path | None, typer.Option(help="pairs to score with the finished rule set")] = None,
    repeats: Annotated[
        int | None, typer.Option(help="extract so often, each with its own seed, and show which rules recur")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="show calls, tokens and cost by stage; send nothing")
    ] = False,
    max_tokens_total: Annotated[int | None, typer.Option(help="stop cleanly when so many tokens are spent")] = None,
    max_cost: Annotated[
        float | None, typer.Option(help="stop cleanly at this cost; needs model.price_in and model.price_out")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="default, paper: settings to begin with")] = None,
    seed: Annotated[
        int | None, typer.Option(help="of the draw, the order of responses and the sampling (default: 0)")
    ] = None,
    backend: Backend = None,
    model: Model = None,
    base_url: BaseUrl = None,
    api_key_env: ApiKeyEnv = None,
    columns: Columns = None,
    winner_values: Annotated[str | None, typer.Option(help="a=...,b=...,tie=...: values of the winner column")] = None,
    out: Out = None,
    run_id: RunId = None,
    cache: CachePath = None,
    no_cache: NoCache = False,
    config: ConfigFile = None,
    set_: Set = None,
    prefect: Prefect = None,
    debug: Debug = False,
) -> None:
    """Mine a rule set from preference pairs."""
    options = {
        **run_options(backend, model, base_url, api_key_env, columns, out, run_id, cache, no_cache),
        "pairs": pairs,
        "limit": limit,
        "draw": draw,
        "keep_ties": keep_ties,
        "held_out": held_out,
        "repeats": repeats,
        "budget": given({"max_tokens_total": max_tokens_total, "max_cost": max_cost}),
        "interpretation": {"check_chains": "mark"} if check_chains else {},
        "seed": seed,
        "winner_values": mapping(winner_values, "--winner-values"),
    }
    extraction = settings_of(ExtractConfig, options, config, set_, preset)
    if dry_run:
        from autorule.tasks.forecast import forecast_extraction

        terminal.print_forecast(forecast_extraction(extraction))
        return
    if extraction.repeats > 1:
        terminal.print_stability(_run("repeat_extraction", extraction, prefect), extraction.outputs)
        return
    manifest = _run("extract_rules", extraction, prefect)
    terminal.print_extraction(extraction.outputs / manifest.run_id, manifest)


@app.command()
def score(
    completions: Annotated[Path, typer.Argument(help="rows of prompt and completion, or of messages")],
    rules: Annotated[Path, typer.Option(help="rule set: 03_rule_set.json of a run")],
    backend: Backend = None,
    model: Model = None,
    base_url: BaseUrl = None,
    api_key_env: ApiKeyEnv = None,
    columns: Columns = None,
    out: Out = None,
    run_id: RunId = None,
    cache: CachePath = None,
    no_cache: NoCache = False,
    config: ConfigFile = None,
    set_: Set = None,
    prefect: Prefect = None,
    debug: Debug = False,
) -> None:
    """Score completions against a rule set."""
    options = {
        **run_options(backend, model, base_url, api_key_env, columns, out, run_id, cache, no_cache),
        "completions": completions,
        "rules": rules,
    }
    scoring = settings_of(ScoreConfig, options, config, set_)
    manifest = _run("score_completions", scoring, prefect)
    terminal.print_scoring(scoring.outputs / manifest.run_id, manifest)


@app.command()
def doctor(
    backend: Backend = None,
    model: Model = None,
    base_url: BaseUrl = None,
    api_key_env: ApiKeyEnv = None,
    debug: Debug = False,
) -> None:
    """Show versions and back ends, and whether the server answers and the model loads."""
    from autorule.doctor import examine

    if not terminal.print_checks(examine(model_options(backend, model, base_url, api_key_env))):
        raise typer.Exit(1)


@cache_app.command("stats")
def cache_stats(cache: CachePath = None, debug: Debug = False) -> None:
    """Show what the cache holds."""
    from autorule.backends.answer_store import AnswerStore

    path = cache or CacheConfig().path
    if not path.exists():
        raise ConfigError(f"there is no cache at {path}; give its file with --cache")
    terminal.print_cache(AnswerStore(path).stats())


@cache_app.command("prune")
def cache_prune(
    max_gb: Annotated[float, typer.Option(help="size to come down to; 0 empties the cache")],
    cache: CachePath = None,
    debug: Debug = False,
) -> None:
    """Remove the least recently used answers."""
    from autorule.backends.answer_store import AnswerStore

    if not (math.isfinite(max_gb) and max_gb >= 0):
        raise ConfigError(f"--max-gb {max_gb}: give a number of gigabytes, 0 or more")
    path = cache or CacheConfig().path
    if not path.exists():
        raise ConfigError(f"there is no cache at {path}; give its file with --cache")
    store = AnswerStore(path)
    typer.echo(f"removed {store.prune(int(max_gb * 1e9))} answers")
    terminal.print_cache(store.stats())


@app.callback(invoke_without_command=True)
def _main(version: Annotated[bool, typer.Option("--version", help="show the version")] = False) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def _run(flow_name: str, config: Config, prefect: bool | None) -> Any:
    """Runs a flow with progress bars: as a Prefect flow run where there is a server, else as plain functions."""
    flow = _load_flow(flow_name)
    run: Callable[[Config], Any] = flow if _use_prefect(prefect) else flow.fn
    try:
        with terminal.progress_bars():
            return run(config)
    except KeyboardInterrupt:
        terminal.print_error("stopped; run the same command again to go on: finished answers are in the cache")
        sys.stdout.flush()
        os._exit(130)  # shards at work in threads would hold the process until their last answer


def _forecast(config: Config) -> Any:
    """What an evaluation would send."""
    from autorule.tasks.evaluation_forecast import forecast_evaluation

    return forecast_evaluation(config)


def _load_flow(name: str) -> Any:
    try:
        if name == "extract_rules":
            from autorule.flows.extract_rules import extract_rules

            return extract_rules
        if name == "repeat_extraction":
            from autorule.flows.repeat_extraction import repeat_extraction

            return repeat_extraction
        if name == "evaluate_rules":
            from autorule.flows.evaluate_rules import evaluate_rules

            return evaluate_rules
        from autorule.flows.score_completions import score_completions
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] == "prefect":
            raise MissingExtraError("prefect", "flows", "running a flow") from error
        raise
    return score_completions


def _use_prefect(asked: bool | None) -> bool:
    if asked is not None:
        return asked
    from prefect.settings import PREFECT_API_URL

    return bool(PREFECT_API_URL.value())


def main() -> NoReturn:
    """Entry point: errors that a user can mend are one line."""
    os.environ.setdefault("TQDM_DISABLE", "1")  # model loaders draw bars of their own
    try:
        app()
    except AutoruleError as error:
        if _debug:
            raise
        terminal.print_error(str(error))
        raise SystemExit(3 if isinstance(error, RunFailedError) else 2) from None
    raise SystemExit(0)
