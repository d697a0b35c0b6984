"""Stages 1 to 3: why was a response preferred, which rules follow, and one rule set out of them."""
