"""A rule set as what a trainer loads, target by target."""

import hashlib
from pathlib import Path

from prefect.artifacts import create_table_artifact

from autorule.export import export_rule_set
from autorule.export.config import ExportConfig
from autorule.export.folders import check_target
from autorule.rules.rule_sets import load_rule_set
from autorule.tasks.never_fatal import never_fatal
from autorule.tasks.steps import in_flow_run, step


def check_before_export(config: ExportConfig) -> None:
    """Raises what would end the export after some of its targets: an unknown target, a rule set that can't be read."""
    for target in config.targets:
        check_target(target)
    load_rule_set(config.rules)


@step("export")
def export_to(target: str, config: ExportConfig) -> list[Path]:
    """The files that were written for one target."""
    paths = export_rule_set(load_rule_set(config.rules), config.reward, target, config.out / target)
    if in_flow_run():
        with never_fatal():
            rows = [{"file": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for path in paths]
            create_table_artifact(rows, key=f"export-{target}", description=f"{config.rules} for {target}")
    return paths
