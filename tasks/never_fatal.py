"""What is only shown ends nothing."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from autorule.errors import with_kind

log = logging.getLogger(__name__)


@contextmanager
def never_fatal() -> Iterator[None]:
    """What goes wrong inside is a warning: it is only shown."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - what is only shown must not end what was computed
        log.warning("an artifact was not written: %s", with_kind(error))
