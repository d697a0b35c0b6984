"""Settings of an export as a flow."""

from pathlib import Path

from pydantic import Field

from autorule.config.stages import Config
from autorule.rewards.settings import RewardSettings


class ExportConfig(Config):
    """Parameters of export_rules: a rule set in, a folder for each trainer out."""

    rules: Path = Field(description="rule set file, such as 03_rule_set.json of a run")
    targets: tuple[str, ...] = Field(("trl",), min_length=1, description="trainers, as in `autorule export --to`")
    out: Path = Field(Path("outputs/exports"), description="folder; each target gets one of its own in it")
    reward: RewardSettings = Field(RewardSettings(), description="verifier, reward model and shaping")
