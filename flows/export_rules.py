"""A rule set in, folders that trainers load out."""

from pathlib import Path

from prefect import flow

from autorule.export.config import ExportConfig
from autorule.tasks.exporting import check_before_export, export_to
from autorule.tasks.run_names import run_name


@flow(name="export-rules", flow_run_name=run_name)
def export_rules(config: ExportConfig) -> list[Path]:
    """Exports a rule set to each target, into a folder of its own name under `out`; the files.

    Raises ConfigError for an unknown target and for settings that it can't have, RuleSetError for the rule set.
    """
    check_before_export(config)
    return [path for target in config.targets for path in export_to(target, config)]
