"""Names that modules had before they got wings, which files, pickles and installed commands of users still import."""

import sys
import warnings
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

MOVED = {
    "autorule.cli": "autorule.commands.cli",
    "autorule.rule_sets": "autorule.rules.rule_sets",
    "autorule.rule_text": "autorule.rules.text",
    "autorule.stage_config": "autorule.config.stages",
}


class EarlierNames:
    """Finds a module under its earlier name: a second name for what is in the module that it is now."""

    @classmethod
    def install(cls) -> None:
        """After all other finders, so that a module that is there goes before."""
        if cls not in sys.meta_path:
            sys.meta_path.append(cls)

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(name, cls, origin=MOVED[name]) if name in MOVED else None  # type: ignore[arg-type]

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        return None

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        now = MOVED[module.__name__]
        warnings.warn(f"{module.__name__} is now {now}", DeprecationWarning, stacklevel=2)
        names = vars(import_module(now)).items()
        vars(module).update({name: value for name, value in names if not name.startswith("__")})
