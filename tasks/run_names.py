"""Names of flow runs in the Prefect UI (what is done, on which data, with which model, when), and of their folders."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect.context import FlowRunContext
from prefect.runtime import flow_run

from autorule.config.models import EMBEDDED
from autorule.report.text import visible
from autorule.runs.files import RULE_SET
from autorule.runs.run_ids import id_part, new_run_id

DATA = ("pairs", "completions", "rules")
"""The setting that names the data, in the order in which they are looked for."""


def run_name() -> str:
    """`pandalm · Qwen3-8B · 2026-11-25 14:05` for the flow run that is about to begin."""
    parameters = flow_run.parameters.get("config", {})
    config: dict[str, Any] = parameters if isinstance(parameters, dict) else parameters.model_dump()
    config = {**config.get("extraction", {}), **config.get("reward", {}), **config}  # of a refresh, of an export
    data = next((_data_name(Path(config[name])) for name in DATA if config.get(name)), "run")
    model = Path(str((config.get("model") or {}).get("model") or EMBEDDED)).name
    return visible(f"{data} · {model} · {datetime.now(UTC):%Y-%m-%d %H:%M}")


def run_id_for(given: str | None, source: Path) -> str:
    """The run id that was given; else in a flow run one that its retries have too, so that they go on where it ended;
    else a new one."""
    context = FlowRunContext.get()
    run = None if context is None else context.flow_run
    if given is not None or run is None or run.created is None:
        return given or new_run_id(source)
    return f"{run.created:%Y%m%d-%H%M%S}-{id_part(source)}-{run.id.hex[-4:]}"


def _data_name(path: Path) -> str:
    """The file's name; that of its run where every run has a file of this name."""
    return path.resolve().parent.name if path.name == RULE_SET else path.name.partition(".")[0]
