"""What works on shards: threads, a Ray cluster or a Dask cluster, chosen by one setting, held as long as a flow runs.

prefect-ray and prefect-dask do the spreading. In-process models on Ray are the exception: a model stays loaded in an
actor, one for each GPU, and shards go to whichever actor is free (tasks/ray_actors.py).
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from autorule.backends import stopping
from autorule.config.models import ModelConfig
from autorule.config.runner import RunnerConfig
from autorule.config.runs import RunConfig
from autorule.errors import ConfigError, MissingExtraError
from autorule.tasks.limits import IN_PROCESS, gpu_slot
from autorule.tasks.ray_actors import ActorTaskRunner, ray_settings
from autorule.tasks.steps import in_flow_run

PARALLEL_SHARDS = 4
"""In threads; requests in flight are the back end's own limit."""


class ShardRunner:
    """The engine of one flow run. Its parts are opened when the first shards come, and closed with it."""

    def __init__(self, config: RunnerConfig, stack: ExitStack) -> None:
        self.config = config
        self._stack = stack
        self._runners: dict[str, TaskRunner[Any]] = {}

    def for_model(self, model: ModelConfig) -> TaskRunner[Any]:
        """The task runner for shards that ask `model`."""
        if model.backend in IN_PROCESS and self.config.engine == "ray":
            return self._opened(model.model_dump_json(), lambda: ActorTaskRunner(self.config, model))
        if self.config.engine == "threads":  # the model stays in the GPU's memory until the run ends: so does the slot
            self._stack.enter_context(gpu_slot(model))
        return self._opened("shards", lambda: open_runner(self.config))

    def _opened(self, key: str, make: Callable[[], TaskRunner[Any]]) -> TaskRunner[Any]:
        if key not in self._runners:
            self._runners[key] = self._stack.enter_context(make())
        return self._runners[key]


_current: ContextVar[ShardRunner | None] = ContextVar("shard_runner", default=None)


def current_runner() -> ShardRunner:
    """The engine of the flow that goes on."""
    runner = _current.get()
    assert runner is not None, "a flow runs its shards inside shards_on(config)"
    return runner


@contextmanager
def shards_on(config: RunConfig) -> Iterator[None]:
    """Inside, shards are worked on by the engine that the settings name.

    Raises ConfigError for a cluster outside a flow run, and for a cluster with a budget, which one process counts.
    """
    runner = config.runner
    if runner.engine != "threads" and not in_flow_run():
        raise ConfigError(f"runner.engine {runner.engine} needs Prefect: start the flow there, or leave it at threads")
    if runner.engine != "threads" and config.budget != type(config.budget)():
        raise ConfigError(
            f"a budget is counted in one process: leave it out with runner.engine {runner.engine}, or take threads"
        )
    with ExitStack() as stack:
        token = _current.set(ShardRunner(runner, stack))
        try:
            yield
        except Exception:
            raise
        except BaseException:  # cancelled: the runner waits for its shards, which must first stop waiting for answers
            stopping.stop()
            raise
        finally:
            _current.reset(token)


def open_runner(config: RunnerConfig) -> TaskRunner[Any]:
    """The task runner of an engine, not yet started. Raises MissingExtraError when its package is not installed."""
    if config.engine == "threads":
        return ThreadPoolTaskRunner(max_workers=config.workers or PARALLEL_SHARDS)
    workers = config.workers or os.cpu_count() or 1
    try:
        if config.engine == "dask":
            from prefect_dask import DaskTaskRunner

            if config.address is not None:
                return DaskTaskRunner(address=config.address)
            local = {"n_workers": workers, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
            return DaskTaskRunner(cluster_kwargs=local)
        from prefect_ray import RayTaskRunner

        return RayTaskRunner(address=config.address, init_kwargs=ray_settings(config))
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or config.engine, config.engine, f"runner.engine {config.engine}") from error
