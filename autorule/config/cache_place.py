"""Where answers are kept when nobody says where: in the user's cache folder, wherever a command is called."""

import os
from pathlib import Path

from autorule.errors import ConfigError

FILE = "answers.sqlite"
USED_BEFORE = Path("outputs/cache") / FILE
"""The default of earlier versions, from the folder that one stood in: where it is there it is gone on with."""


def user_cache_folder() -> Path:
    """autorule's own folder under $XDG_CACHE_HOME or ~/.cache. Raises ConfigError for a user without a home."""
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if named.is_absolute():  # the specification has others ignored
        return named / "autorule"
    try:
        home = Path.home()
    except RuntimeError as error:
        raise ConfigError(
            "there is no home folder to keep answers in: name a file with --cache (cache.path), set XDG_CACHE_HOME, or "
            "run with --no-cache"
        ) from error
    return home / ".cache" / "autorule"


def cache_used_before() -> Path | None:
    """The file of an earlier version in the current folder, if there is one."""
    try:
        return USED_BEFORE.absolute() if USED_BEFORE.is_file() else None
    except OSError:  # not even looking is allowed, or the folder is gone
        return None


def told_of_used_before() -> str | None:
    """That answers are kept where earlier versions kept them, and how to have them from every folder; None where they
    are not."""
    file = cache_used_before()
    if file is None:
        return None
    try:
        elsewhere = f"move it to {user_cache_folder() / FILE}, or "
    except ConfigError:
        elsewhere = ""
    return (
        f"answers are kept in {file}, as by earlier versions; to have them from every folder, {elsewhere}name it with "
        "--cache (cache.path)"
    )


def default_cache_file() -> Path:
    """Raises ConfigError as user_cache_folder does."""
    return cache_used_before() or user_cache_folder() / FILE
