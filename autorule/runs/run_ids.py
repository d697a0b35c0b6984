"""Names of runs, which are those of their folders."""

import re
import secrets
from datetime import UTC, datetime
from pathlib import Path

MOST_SOURCE_CHARS = 80


def new_run_id(source: Path) -> str:
    """A name for a run on the file `source` that no other run has."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{id_part(source)}-{secrets.token_hex(2)}"


def id_part(source: Path) -> str:
    """The name of a file as part of a run id, which can be given again with --run-id; that of its folder where a
    pattern leaves none."""
    names = (re.sub(r"[^A-Za-z0-9_-]", "_", part.partition(".")[0]) for part in reversed(source.parts))
    return next((name[:MOST_SOURCE_CHARS] for name in names if name.strip("_")), "run")
