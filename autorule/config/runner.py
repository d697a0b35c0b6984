"""Where the shards of a run are worked on."""

from typing import Literal, Self

from pydantic import Field, model_validator

from autorule.config.stages import Config


class RunnerConfig(Config):
    """Threads of the flow's own process, or the processes of a Ray or Dask cluster; results are the same."""

    engine: Literal["threads", "ray", "dask"] = Field(
        "threads", description="threads suit models on servers; ray and dask spread the work over processes or machines"
    )
    workers: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="shards at work at once, and processes of a local cluster: four threads, or one process for each "
        "CPU or GPU, when left out",
    )
    address: str | None = Field(
        None,
        description="of a cluster: ray://HOST:10001 or tcp://HOST:8786; a local one, for this run, when left out",
    )

    @model_validator(mode="after")
    def _only_clusters_have_addresses(self) -> Self:
        if self.engine == "threads" and self.address is not None:
            raise ValueError("runner.address is for engine ray or dask; threads have none")
        return self
