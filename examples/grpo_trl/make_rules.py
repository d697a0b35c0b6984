"""Writes rules.json: four rules that code checks, within reach of a model of 135M parameters."""

from pathlib import Path

from autorule.config.stages import RewardConfig, VerificationConfig
from autorule.prompting import load_prompt
from autorule.records import Rule
from autorule.rules.rule_sets import RuleSet, VerificationSpec, dump_rule_set
from autorule.rules.text import new_rule_id

RULES = {
    "The response should have at most 25 words.": {"kind": "count", "of": "words", "at_most": 25},
    "The response should have at least 5 words.": {"kind": "count", "of": "words", "at_least": 5},
    "The response should do without commas.": {"kind": "punctuation", "without": ","},
    "The response should end with a full stop, a question mark or an exclamation mark.": {
        "kind": "punctuation",
        "ends_with": ".?!",
    },
}


def main() -> None:
    config = VerificationConfig()
    rules = [
        Rule.model_validate(
            {"rule_id": new_rule_id(text), "text": text, "support": 0, "aspect": "form", "check": check}
        )
        for text, check in RULES.items()
    ]
    spec = VerificationSpec.from_config(config, load_prompt(config.prompt_name))
    rule_set = RuleSet(rules=tuple(rules), verification=spec, reward=RewardConfig())
    Path(__file__).with_name("rules.json").write_text(dump_rule_set(rule_set), encoding="utf-8")


if __name__ == "__main__":
    main()
