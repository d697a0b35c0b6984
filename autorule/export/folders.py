"""An export: a folder with the rule set, what the trainer loads, and a README with the flags.

Function files are fixed code that reads `rule_set.json` and `reward.json` beside it: no rule text enters code or a
command line.
"""

import json
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path

from autorule.config.cache_place import cache_used_before
from autorule.errors import ConfigError
from autorule.export.rubrics import criteria, markdown, requirement_list
from autorule.rewards.settings import RewardSettings
from autorule.rules.rule_sets import RuleSet, dump_rule_set
from autorule.storage import write_text

RULE_SET = "rule_set.json"
FUNCTION_FILE = "rule_reward.py"
FUNCTIONS = ("trl", "axolotl", "verl", "openrlhf", "slime", "areal", "ms-swift")
"""Trainers that load a function."""
CRITERIA: dict[str, tuple[str, Callable[[RuleSet], str]]] = {
    "verifiers": ("criteria.json", criteria),
    "rubric": ("rubric.json", requirement_list),
    "markdown": ("rules.md", markdown),
}
"""Targets that read the rules themselves: the name of the file, and what writes it."""
TARGETS = (*FUNCTIONS, *CRITERIA)
SAME_FILE = {"axolotl": "trl", "ms-swift": "ms_swift"}
NEEDS_A_NUMBER = {"verl", "openrlhf", "slime", "areal"}
"""Trainers that know no unscored completion: there it is an error, unless the settings say a number."""


def export_rule_set(rule_set: RuleSet, settings: RewardSettings, target: str, out: Path) -> list[Path]:
    """Writes the folder; its files. Raises ConfigError for an unknown target and for a folder that holds anything but
    what this export had written before it was cut off."""
    check_target(target)
    if target in NEEDS_A_NUMBER:
        refuse_dropout(settings, target)
    files = {RULE_SET: dump_rule_set(rule_set), "README.md": readme(target)}
    if target in CRITERIA:
        name, write = CRITERIA[target]
        files[name] = write(rule_set)
    else:
        code = resources.files("autorule.export.files") / f"{SAME_FILE.get(target, target)}.py"
        files[FUNCTION_FILE] = code.read_text(encoding="utf-8")
        files["reward.json"] = _settings_text(settings, target)
    if out.exists() and not _holds_only(out, files):
        raise ConfigError(f"{out} exists and is not an empty folder; give another --out")
    out.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        write_text(out / name, text)
    return [out / name for name in files]


def check_target(target: str) -> None:
    """Raises ConfigError for an unknown one."""
    if target not in TARGETS:
        raise ConfigError(f"no export {target!r}; there are {', '.join(TARGETS)}")


def _holds_only(folder: Path, files: Mapping[str, str]) -> bool:
    """Whether each file there is one of these, with the same content."""
    if not folder.is_dir():
        return False
    return all(
        path.name in files and path.is_file() and path.read_bytes() == files[path.name].encode()
        for path in folder.iterdir()
    )


def refuse_dropout(settings: RewardSettings, where: str) -> None:
    """Raises ConfigError for a rule dropout where no training step is known: completions of one prompt would be judged
    by different rules, or the same rules be left out for ever."""
    if settings.rule_dropout:
        raise ConfigError(f"{where} tells no training step, which rule_dropout goes by; leave rule_dropout out")


def readme(target: str) -> str:
    return (resources.files("autorule.export.readme") / f"{target}.md").read_text(encoding="utf-8")


def _settings_text(settings: RewardSettings, target: str) -> str:
    changes: dict[str, object] = {"rules": Path(RULE_SET)}
    if target in NEEDS_A_NUMBER and settings.on_unscored == "none":
        changes["on_unscored"] = "error"
    # What is left out is the user's cache folder, wherever the trainer stands, on this machine or another.
    changes["cache"] = settings.cache.model_copy(update={"path": settings.cache.path or cache_used_before()})
    content = settings.model_copy(update=changes).model_dump(mode="json", exclude_none=True)
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
