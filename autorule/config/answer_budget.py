"""How many tokens a list of rules may take: derived from what is asked for, with room for thinking before it."""

THINKING_TOKENS = 3072
"""Models that don't think leave it unused."""
CHARS_PER_TOKEN = 3
"""Of rules: English has more, most other scripts two or three in the measure of rules/length.py."""
TOKENS_PER_RULE = 28
"""What stands around each rule of a list: quotes, commas, white space."""


def list_budget(n_rules: int, max_rule_chars: int) -> int:
    """4,096 for 8 rules of 300 characters."""
    return THINKING_TOKENS + n_rules * (max_rule_chars // CHARS_PER_TOKEN + TOKENS_PER_RULE)
