"""Rule sets that people change are written: by whom, and over nothing that they did not mean."""

import getpass
from pathlib import Path

from autorule.errors import ConfigError
from autorule.rules.rule_sets import RuleSet, dump_rule_set
from autorule.storage import write_text


def user_name(by: str | None, option: str = "--by") -> str:
    """Who makes the change: as told, else the user of this process. Raises ConfigError when neither is known."""
    if by is not None and by.strip():
        return by.strip()
    if by is not None:
        raise ConfigError(f"{option} is empty; give the name to put in the history, or leave it out")
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError) as error:
        raise ConfigError(f"the user of this process has no name; give one with {option}") from error


def check_free(path: Path, force: bool) -> None:
    """Raises ConfigError when a file would be overwritten and that was not asked for."""
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; give the file to write")
    if path.exists() and not force:
        raise ConfigError(f"{path} exists; give another --out, or --force to overwrite it")


def save_rule_set(path: Path, rule_set: RuleSet) -> None:
    """Writes the whole file or none of it; through a link, the file that it leads to."""
    try:
        write_text(path.resolve(), dump_rule_set(rule_set))
    except OSError as error:
        raise ConfigError(
            f"{path} can't be written: {error.strerror}; make its folder, or give another place"
        ) from error
