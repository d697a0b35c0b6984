"""Steps of a flow that run once: Prefect tasks inside a flow run, plain functions outside one."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def in_flow_run() -> bool:
    """Whether Prefect runs us. Without a server the same code runs as plain functions."""
    return FlowRunContext.get() is not None


def step(name: str) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """Makes a function a task named `name` where Prefect runs it, and leaves it a function elsewhere."""

    def decorate(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        as_task = task(name=name, task_run_name=name, cache_policy=NO_CACHE)(function)

        @wraps(function)
        def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
            return as_task(*args, **kwargs) if in_flow_run() else function(*args, **kwargs)

        return call

    return decorate
