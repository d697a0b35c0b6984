"""`autorule extract` and `score`: a rule set out of preference pairs, and rewards by it."""

from pathlib import Path
from typing import Annotated

import typer

from autorule import terminal
from autorule.command_options import (
    ApiKeyEnv,
    Backend,
    BaseUrl,
    CachePath,
    Columns,
    ConfigFile,
    Debug,
    Model,
    NoCache,
    Out,
    Prefect,
    RunId,
    Set,
)
from autorule.command_settings import given, mapping, run_options, settings_of
from autorule.config import ExtractConfig, ScoreConfig
from autorule.flow_running import run_flow


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(extract)
    app.command()(score)


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
        bool, typer.Option("--dry-run", help="show calls, tokens and cost by stage; send no prompt")
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
        from autorule.flow_running import forecast_extraction

        terminal.print_forecast(forecast_extraction(extraction))
        return
    if extraction.repeats > 1:
        terminal.print_stability(run_flow("repeat_extraction", extraction, prefect), extraction.outputs)
        return
    manifest = run_flow("extract_rules", extraction, prefect)
    terminal.print_extraction(extraction.outputs / manifest.run_id, manifest)


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
    manifest = run_flow("score_completions", scoring, prefect)
    terminal.print_scoring(scoring.outputs / manifest.run_id, manifest)
