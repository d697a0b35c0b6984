"""Options that several commands have, in groups, each in one place.

A command names a group as one parameter, and `@grouped` puts the options of the group in its place:

    @grouped
    def score(completions: ..., model: ModelOptions, settings: SettingOptions) -> None: ...
"""

import functools
import inspect
from collections.abc import Callable
from copy import copy
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import typer

_debug = False


def debugging() -> bool:
    """Whether a command was given --debug."""
    return _debug


def _set_debug(value: bool) -> None:
    global _debug
    _debug = _debug or value


RULE_SET_HELP = "rule set: 03_rule_set.json of a run"

RuleSetFile = Annotated[Path, typer.Argument(metavar="RULE_SET", help=RULE_SET_HELP)]
Debug = Annotated[bool, typer.Option("--debug", callback=_set_debug, help="show the whole trace of an error")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout, and nothing else there")]
By = Annotated[str | None, typer.Option(help="name for the history (default: the user of this computer)")]
Force = Annotated[bool, typer.Option("--force", help="overwrite the file if it exists")]
Columns = Annotated[list[str] | None, typer.Option(help="OURS=THEIRS,...: which columns of the file to read")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="show calls, tokens and cost by stage; send no prompt")]
CachePath = Annotated[
    Path | None, typer.Option("--cache", help="cache file (default: ~/.cache/autorule/answers.sqlite)")
]


@dataclass(frozen=True)
class ModelOptions:
    """Which model answers, and how it is reached."""

    backend: Annotated[
        str | None, typer.Option(help="transformers_local, vllm_engine, openai_compatible or scripted")
    ] = None
    model: Annotated[
        str | None, typer.Option(help="name on the server, or folder or hub name (default: the embedded one)")
    ] = None
    base_url: Annotated[
        list[str] | None,
        typer.Option(
            help="OpenAI-compatible server, such as http://127.0.0.1:8000/v1; repeat it for several of one model"
        ),
    ] = None
    api_key_env: Annotated[
        str | None, typer.Option(help="name of the environment variable that holds the server's key")
    ] = None

    def settings(self) -> dict[str, Any]:
        """Fields of a ModelConfig."""
        backend = "openai_compatible" if self.base_url and not self.backend else self.backend
        return given(
            {
                "backend": backend,
                "model": self.model,
                "base_url": self.base_url or None,
                "api_key_env": self.api_key_env,
            }
        )


@dataclass(frozen=True)
class VerifierOptions(ModelOptions):
    """The verifier, and how it is reached."""


@dataclass(frozen=True)
class CacheOptions:
    """Where answers are kept."""

    cache: CachePath = None
    no_cache: Annotated[bool, typer.Option("--no-cache", help="ask everything anew and keep nothing")] = False

    def settings(self) -> dict[str, Any]:
        """Fields of a CacheConfig."""
        return given({"path": self.cache, "enabled": False if self.no_cache else None})


@dataclass(frozen=True)
class RunOptions:
    """The folder of the run, and whether it is one of Prefect."""

    out: Annotated[str | None, typer.Option(help="folder for run folders, or URL such as s3://bucket/outputs")] = None
    run_id: Annotated[str | None, typer.Option(help="name of the run folder; made up if left out")] = None
    prefect: Annotated[
        bool | None,
        typer.Option("--prefect/--no-prefect", help="run as a Prefect flow (default: when PREFECT_API_URL is set)"),
    ] = None

    def settings(self) -> dict[str, Any]:
        """Fields of a RunConfig."""
        return {"outputs": self.out, "run_id": self.run_id}


@dataclass(frozen=True)
class PairOptions:
    """How a file of preference pairs is read."""

    columns: Columns = None
    winner_values: Annotated[
        list[str] | None, typer.Option(help="a=...,b=...,tie=...: values of the winner column")
    ] = None


@dataclass(frozen=True)
class SettingOptions:
    """Any other setting."""

    config: Annotated[Path | None, typer.Option("--config", help="TOML file with any settings")] = None
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="any setting, such as model.timeout_s=60; may be repeated")
    ] = None


def given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options of each group in the place of the group."""
    signature = inspect.signature(command)
    hints = get_type_hints(command, include_extras=True)
    groups = {name: hints[name] for name in signature.parameters if is_dataclass(hints[name])}
    parameters: list[inspect.Parameter] = []
    for name, parameter in signature.parameters.items():
        if name in groups:
            own = get_type_hints(groups[name], include_extras=True)
            panel = (groups[name].__doc__ or "").rstrip(".")
            parameters += [_parameter(f.name, _shown_in(panel, own[f.name]), f.default) for f in fields(groups[name])]
        else:
            parameters.append(_parameter(name, hints[name], parameter.default))

    @functools.wraps(command)
    def flat(**options: Any) -> None:
        made = {name: group(**{f.name: options.pop(f.name) for f in fields(group)}) for name, group in groups.items()}
        command(**options, **made)

    flat.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    flat.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return flat


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    none = inspect.Parameter.empty if default in (MISSING, inspect.Parameter.empty) else default
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=none, annotation=annotation)


def _shown_in(panel: str, annotation: Any) -> Any:
    """The same option, in a panel of its group in the help text."""
    kind, option = get_args(annotation)
    option = copy(option)
    option.rich_help_panel = panel
    return Annotated[kind, option]
