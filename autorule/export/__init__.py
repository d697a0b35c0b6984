"""Rule sets for trainers: each export is a folder with what one trainer reads."""

from autorule.export.folders import TARGETS, export_rule_set

__all__ = ["TARGETS", "export_rule_set"]
