"""`autorule cache`: which answers are kept."""

import math
from pathlib import Path
from typing import Annotated

import typer

from autorule.backends.answer_store import AnswerStore
from autorule.commands.options import CachePath, Debug
from autorule.config.models import CacheConfig
from autorule.errors import ConfigError
from autorule.terminal.cache import print_cache

cache_app = typer.Typer(help="The cache of model answers.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(cache_app, name="cache")


@cache_app.command("stats")
def cache_stats(cache: CachePath = None, debug: Debug = False) -> None:
    """Show what the cache holds."""
    print_cache(_open(cache).stats())


@cache_app.command("prune")
def cache_prune(
    max_gb: Annotated[float, typer.Option(help="size to come down to; 0 empties the cache")],
    cache: CachePath = None,
    debug: Debug = False,
) -> None:
    """Remove the least recently used answers."""
    if not (math.isfinite(max_gb) and max_gb >= 0):
        raise ConfigError(f"--max-gb {max_gb}: give a number of gigabytes, 0 or more")
    store = _open(cache)
    typer.echo(f"removed {store.prune(int(max_gb * 1e9))} answers")
    print_cache(store.stats())


def _open(named: Path | None) -> AnswerStore:
    """Raises ConfigError for a file that is not there, or is no cache."""
    path = named or CacheConfig().file
    if not path.exists():
        raise ConfigError(f"there is no cache at {path}; give its file with --cache")
    return AnswerStore(path)
