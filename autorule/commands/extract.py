"""`autorule extract`: a rule set out of preference pairs."""

from pathlib import Path
from typing import Annotated

import typer

from autorule.commands.flow_running import forecast_extraction, run_flow
from autorule.commands.options import (
    CacheOptions,
    Debug,
    DryRun,
    ModelOptions,
    PairOptions,
    RunOptions,
    SettingOptions,
    given,
    grouped,
)
from autorule.commands.settings import mapping, run_settings, settings_of
from autorule.config.runs import ExtractConfig
from autorule.runs.input_files import together
from autorule.terminal.runs import print_extraction, print_forecast, print_stability


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(grouped(extract))


def extract(
    pairs: Annotated[
        list[Path], typer.Argument(metavar="PAIRS", help="preference pairs: .jsonl, .json, .csv, .parquet")
    ],
    model: ModelOptions,
    cache: CacheOptions,
    run: RunOptions,
    layout: PairOptions,
    settings: SettingOptions,
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
    dry_run: DryRun = False,
    max_tokens_total: Annotated[int | None, typer.Option(help="stop cleanly when so many tokens are spent")] = None,
    max_cost: Annotated[
        float | None, typer.Option(help="stop cleanly at this cost; needs model.price_in and model.price_out")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="default, paper: settings to begin with")] = None,
    seed: Annotated[
        int | None, typer.Option(help="of the draw, the order of responses and the sampling (default: 0)")
    ] = None,
    debug: Debug = False,
) -> None:
    """Mine a rule set from preference pairs."""
    options = {
        **run_settings(model, cache, run, layout.columns),
        "pairs": together(pairs),
        "limit": limit,
        "draw": draw,
        "keep_ties": keep_ties,
        "held_out": held_out,
        "repeats": repeats,
        "budget": given({"max_tokens_total": max_tokens_total, "max_cost": max_cost}),
        "interpretation": {"check_chains": "mark"} if check_chains else {},
        "seed": seed,
        "winner_values": mapping(layout.winner_values, "--winner-values"),
    }
    extraction = settings_of(ExtractConfig, options, settings, preset)
    if dry_run:
        print_forecast(forecast_extraction(extraction))
    elif extraction.repeats > 1:
        print_stability(run_flow("repeat_extraction", extraction, run.prefect), extraction.outputs)
    else:
        manifest = run_flow("extract_rules", extraction, run.prefect)
        print_extraction(extraction.outputs / manifest.run_id, manifest)
