"""Texts in the tables of artifacts. The UI reads a cell as Markdown and HTML: a rule must not become a picture that is
fetched, or a link."""

import re

from autorule.report.text import shortened

MOST_CHARS = 400
_ACTIVE = re.compile(r"[\\`*_\[\]<>~|!&$:@#]")
_ADDRESS = re.compile(r"(?i)(?<=www)\.")
_LIST = re.compile(r"^(\d*)([-+=.)])")


def cell(text: str) -> str:
    """The text on one line, of which nothing acts; no longer than reads well."""
    escaped = _ACTIVE.sub(r"\\\g<0>", shortened(text, MOST_CHARS))
    return _LIST.sub(r"\1\\\2", _ADDRESS.sub(r"\.", escaped))
