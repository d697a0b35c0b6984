"""Names of flow runs in the Prefect UI: what is done, on which data, with which model, when."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect.runtime import flow_run

DATA = ("pairs", "completions", "rules")
"""The setting that names the data, in the order in which they are looked for."""


def run_name() -> str:
    """`pandalm · Qwen3-8B · 2026-11-25 14:05` for the flow run that is about to begin."""
    parameters = flow_run.parameters.get("config", {})
    config: dict[str, Any] = parameters if isinstance(parameters, dict) else parameters.model_dump()
    config = {**config.get("extraction", {}), **config}  # a refresh
    data = next((Path(config[name]).name.partition(".")[0] for name in DATA if config.get(name)), "run")
    model = Path(str((config.get("model") or {}).get("model") or "embedded")).name
    return f"{data} · {model} · {datetime.now(UTC):%Y-%m-%d %H:%M}"
