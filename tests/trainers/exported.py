"""An export with a scripted verifier, for the trainers' environments."""

from pathlib import Path

from autorule.config.stages import RewardConfig, VerificationConfig
from autorule.export import export_rule_set
from autorule.prompting import load_prompt
from autorule.records import Rule
from autorule.rewards.settings import RewardSettings
from autorule.rules.rule_sets import RuleSet, VerificationSpec

HOSTILE = 'Say "it\'s\\n"; </script> \x1b[31m $(touch /tmp/x)\n=HYPERLINK("x")\n"""\n\u2028'


def export(target: str, folder: Path, *texts: str) -> Path:
    config = VerificationConfig()
    spec = VerificationSpec.from_config(config, load_prompt(config.prompt_name))
    rules = tuple(Rule(rule_id=f"r{i}", text=text, support=1) for i, text in enumerate(texts))
    settings = RewardSettings.model_validate(
        {"model": {"backend": "scripted", "model": "tests.scripts:by_words"}, "cache": {"enabled": False}}
    )
    out = folder / target
    export_rule_set(RuleSet(rules=rules, verification=spec, reward=RewardConfig()), settings, target, out)
    return out
