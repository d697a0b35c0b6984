"""Takes a run folder for this process, and nothing of others: no links, no files but a run's, no run that goes on."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any

from autorule.errors import ConfigError, DiskError, in_words
from autorule.runs.files import FAILURES, MANIFEST, PARTS, STAGE_FILES
from autorule.storage import is_local, open_no_link, write_text

LOCK = ".lock"
OURS_AT_FIRST = {LOCK, PARTS}
"""All that there is before the first manifest."""


def take_folder(folder: Path) -> AbstractContextManager[Any]:
    """Makes the folder, and holds it for this process; the system lets go of it when the process ends, however it ends.

    An object store has no locks: there it is only tried whether the folder can be written. Raises ConfigError when it
    can't, when another process holds it, or when it holds what no run has made.
    """
    with _mendable(folder):
        if not is_local(folder):
            write_text(folder / LOCK, "")
            return nullcontext()
        _refuse_links(folder)
        _refuse_files_of_others(folder)
        (folder / PARTS).mkdir(parents=True, exist_ok=True)
        while (lock := _lock(folder / LOCK)) is None:
            pass
        return lock


@contextmanager
def _mendable(folder: Path) -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        if not isinstance(error, DiskError):
            raise
        raise ConfigError(f"run folder {folder} can't be made: {error}") from error
    except OSError as error:
        raise ConfigError(f"run folder {folder} can't be made: {DiskError.of(error, folder)}") from error
    except Exception as error:
        if is_local(folder):
            raise  # each store has exceptions of its own, for no key, no right, no such place
        raise ConfigError(f"run folder {folder} can't be made: {in_words(error)}; choose another with --out") from error


def _refuse_links(folder: Path) -> None:
    """What a run writes or removes through a link would be that of others."""
    for path in (folder, *(folder / name for name in (LOCK, PARTS, MANIFEST, FAILURES, *STAGE_FILES))):
        if path.is_symlink():
            raise ConfigError(
                f"{path} is a link to {path.readlink()}, which a run might spoil: remove the link, or choose another "
                "place with --out or --run-id"
            )


def _refuse_files_of_others(folder: Path) -> None:
    if not folder.is_dir() or (folder / MANIFEST).exists():
        return
    for path in folder.iterdir():
        if path.name not in OURS_AT_FIRST and not path.name.startswith(f".{MANIFEST}."):
            raise ConfigError(
                f"{folder} holds {path.name} and no run: give another run id, or another folder with --out"
            )


def _lock(path: Path) -> IO[str] | None:
    """The locked file, or None when it was removed meanwhile by the run that held it. Raises ConfigError while another
    process holds it."""
    lock = open(path, "a", opener=open_no_link)  # noqa: SIM115 - whoever takes it closes it
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.exists() and os.path.samestat(os.fstat(lock.fileno()), path.stat()):
            return lock
    except BlockingIOError as error:
        lock.close()
        raise ConfigError(f"run folder {path.parent} is in use by a run that goes on; give another run id") from error
    except OSError:
        lock.close()
        raise
    lock.close()
    return None


def identity_of(folder: Path) -> tuple[int, int] | None:
    """What tells a folder from another that is put in its place, or a link; None in an object store. Raises OSError."""
    if not is_local(folder):
        return None
    status = folder.lstat()
    return status.st_dev, status.st_ino
