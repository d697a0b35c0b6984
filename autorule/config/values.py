"""What one setting may be, beside its type and its bounds."""

from pathlib import PurePath
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, Field

from autorule.code_checks import MOST, MOST_WHOLE

MOST_SECONDS = 10**7
"""Of a wait: four months. Threads can't wait much longer."""
MOST_POINTS = 1_000_000
"""Of a reward, or of what it is multiplied by: a sum of products of a few of them stays a number."""
Count = Annotated[int, Field(le=MOST)]
Seed = Annotated[int, Field(ge=0, le=MOST_WHOLE)]
Points = Annotated[float, Field(ge=-MOST_POINTS, le=MOST_POINTS)]


def check_meant(name: str, value: Any, annotation: Any) -> None:
    """Raises ValueError for true and false where they would be 1 and 0, and for a text with a NUL character, which no
    file, model or column has in its name."""
    if isinstance(value, bool) and bool not in (annotation, *get_args(annotation)):
        raise ValueError(f"{name} takes no {str(value).lower()}; give a value of its kind, or leave it out")
    if isinstance(value, str | PurePath) and "\0" in str(value):
        raise ValueError(f"{name} {str(value)!r:.80} holds a NUL character, which no name has; take it out")


def _known_choices(choices: tuple[str, ...]) -> tuple[str, ...]:
    if choices not in (("Yes", "No"), ("Yes", "No", "N/A")):
        raise ValueError(f"choices {choices!r}: use ['Yes', 'No'] or ['Yes', 'No', 'N/A']")
    return choices


Choices = Annotated[tuple[str, ...], AfterValidator(_known_choices)]
"""Answers that a verifier chooses from."""
