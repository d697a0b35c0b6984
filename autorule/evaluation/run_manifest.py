"""What the manifest says of a run whose verdicts are read: what it measured, and whether it ended."""

from pathlib import Path

from autorule.errors import InputError
from autorule.runs.files import MANIFEST
from autorule.runs.manifest import RunManifest


def read_manifest(folder: Path) -> RunManifest:
    """Raises InputError when the folder holds no run, or its manifest is no whole one."""
    path = folder / MANIFEST
    if not path.exists():
        raise InputError(f"{folder} has no {MANIFEST} of a run; give the folder of an evaluation")
    try:
        return RunManifest.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) else "it is cut off, or of another version"
        raise InputError(f"{path} can't be read: {cause}; evaluate again, with another run id") from error


def why_unfinished(folder: Path) -> str | None:
    """Why a run left less than it should have, and what to do; None where its manifest tells of no such thing."""
    if not (folder / MANIFEST).exists():
        return None
    manifest = read_manifest(folder)
    states = {"running": "was killed, or still goes on", "stopped": "stopped early", "failed": "failed"}
    if manifest.status not in states:
        return None
    because = f" ({manifest.message:.200})" if manifest.message else ""
    return (
        f"the run in {folder} {states[manifest.status]}{because}: run the same command again with --run-id "
        f"{manifest.run_id} to go on where it ended"
    )
