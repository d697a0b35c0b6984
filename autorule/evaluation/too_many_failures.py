"""Pairs without a reward because the verifier failed: more than a few, and figures of the others say little."""

from autorule.runs.files import FAILURES
from autorule.statistics.records import Evaluation

MOST_UNSCORED = 0.1
"""Share of the pairs."""


def unscored_message(found: Evaluation, most: float = MOST_UNSCORED) -> str | None:
    """That the verifier failed too often for the figures to be worth anything; None where it did not."""
    if found.unscored_pairs <= most * found.n_pairs:
        return None
    return (
        f"{found.unscored_pairs} of {found.n_pairs} pairs have no reward because the verifier failed, more than the "
        f"share of {most:g} that is allowed: mend what {FAILURES} of its run says, or allow more with --max-unscored"
    )
