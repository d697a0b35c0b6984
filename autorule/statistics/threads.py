"""Linear algebra on one thread, where the matrices are small."""

from contextlib import AbstractContextManager
from typing import Any


def one_thread() -> AbstractContextManager[Any]:
    """Inside it, BLAS uses one thread: for a few thousand rows, waiting for the others costs more than they give, and
    ten times as much on a machine that is busy."""
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(limits=1)
    return limits
