"""Options that several commands have, and whether the trace of an error is to be shown."""

from pathlib import Path
from typing import Annotated

import typer

_debug = False


def debugging() -> bool:
    """Whether a command was given --debug."""
    return _debug


def _set_debug(value: bool) -> None:
    global _debug
    _debug = _debug or value


Backend = Annotated[str | None, typer.Option(help="transformers_local, vllm_engine, openai_compatible or scripted")]
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
