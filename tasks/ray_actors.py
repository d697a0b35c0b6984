"""In-process models on Ray: one actor for each GPU keeps its model loaded, and shards go to whichever actor is free.

A Ray task would load the model again: Ray starts a new process for every task that holds a GPU.
"""

import importlib
import os
import queue
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from prefect import Task
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import BaseModel

from autorule.config.models import ModelConfig
from autorule.config.runner import RunnerConfig
from autorule.errors import ConfigError, MissingExtraError

RESTARTS = 2
"""Of an actor whose process died; its shard is then done again."""


class EngineActor:
    """A process of the cluster. What it loads for one shard, the next one finds."""

    def work(self, module: str, name: str, folder: Path, shard: int, config: BaseModel) -> Any:
        """Does a shard: the function of the task `name` of `module`."""
        return getattr(importlib.import_module(module), name).fn(folder, shard, config)


class ActorTaskRunner(ThreadPoolTaskRunner):
    """A thread for each actor, which hands it one shard after the other and waits; Prefect sees ordinary tasks."""

    def __init__(self, config: RunnerConfig, model: ModelConfig) -> None:
        self._config, self._model = config, model
        self._actors: list[Any] = []
        self._free: queue.Queue[Any] = queue.Queue()
        self._owns_ray = False
        super().__init__(max_workers=1)

    def __enter__(self) -> "ActorTaskRunner":
        ray = _ray()
        if not ray.is_initialized():
            ray.init(self._config.address, **ray_settings(self._config))
            self._owns_ray = True
        gpus, n_actors = self._layout(ray.cluster_resources().get("GPU", 0))
        actor = ray.remote(EngineActor).options(num_gpus=gpus, max_restarts=RESTARTS, max_task_retries=RESTARTS)
        self._actors = [actor.remote() for _ in range(n_actors)]
        for one in self._actors:
            self._free.put(one)
        self._max_workers = n_actors
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        for actor in self._actors:  # first, or a run that is cancelled would wait for the shards under way
            _ray().kill(actor)
        super().__exit__(*error)
        if self._owns_ray:
            _ray().shutdown()

    def _layout(self, n_gpus: float) -> tuple[int, int]:
        """(GPUs of an actor, actors). Raises ConfigError when the cluster has too few GPUs for one model."""
        if self._model.device == "cpu" or not n_gpus:
            return 0, self._config.workers or 1
        each = self._model.tensor_parallel
        if n_gpus < each:
            raise ConfigError(f"model.tensor_parallel is {each}, but the Ray cluster has {n_gpus:g} GPUs")
        most = int(n_gpus // each)
        return each, min(self._config.workers or most, most)

    def submit(
        self,
        task: Task[..., Any],
        parameters: dict[str, Any],
        wait_for: Iterable[PrefectFuture[Any]] | None = None,
        dependencies: Any = None,
    ) -> Any:
        return super().submit(self._handed_over(task), parameters, wait_for, dependencies)

    def _handed_over(self, task: Task[..., Any]) -> Task[..., Any]:
        def work(folder: Path, shard: int, config: BaseModel) -> Any:
            actor = self._free.get()
            try:
                return _ray().get(actor.work.remote(task.fn.__module__, task.fn.__name__, folder, shard, config))
            finally:
                self._free.put(actor)

        return Task(
            work,
            name=task.name,
            task_run_name=task.task_run_name,
            cache_policy=task.cache_policy,
            retries=task.retries,
            retry_delay_seconds=task.retry_delay_seconds,
            retry_condition_fn=task.retry_condition_fn,
        )


def ray_settings(config: RunnerConfig) -> dict[str, Any]:
    """For ray.init: nothing for a cluster that is there, else a local one without a dashboard."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if config.address is not None:
        return {}
    return {"num_cpus": config.workers or os.cpu_count() or 1, "include_dashboard": False}


def _ray() -> Any:
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "ray", "ray", "runner.engine ray") from error
    return ray
