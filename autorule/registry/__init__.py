"""Rule sets under a name: versions that never change, which of them is current, and why."""

from autorule.registry.folder import RuleSetRegistry

__all__ = ["RuleSetRegistry"]
