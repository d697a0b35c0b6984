"""`autorule prefect`: Prefect on this machine, up and down."""

from pathlib import Path
from typing import Annotated

import typer

from autorule import local_prefect
from autorule.local_prefect.processes import is_alive

prefect_app = typer.Typer(help="Prefect on this machine: server, worker and deployments.", no_args_is_help=True)
Project = Annotated[Path, typer.Option("--project", help="folder with prefect.yaml")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(prefect_app, name="prefect")


@prefect_app.command()
def start(
    port: Annotated[int, typer.Option(help="of the server, on loopback")] = 4200,
    limit: Annotated[int, typer.Option(min=1, help="flow runs at once")] = 2,
    gpus: Annotated[
        int | None,
        typer.Option(min=1, help="runs with a model in their process at once (default: as it was; 1 at first)"),
    ] = None,
    project: Project = Path(),
) -> None:
    """Start server, work pool, worker and all deployments, and say where they are."""
    up = local_prefect.start(project, port, limit, gpus)
    home = project / local_prefect.STATE
    typer.echo(f"Prefect is up: {up.address}")
    typer.echo(f"for commands:  export PREFECT_API_URL={up.address}/api")
    typer.echo(f"logs:          {home / 'server.log'}, {home / 'worker.log'}")


@prefect_app.command()
def stop(project: Project = Path()) -> None:
    """Stop worker and server. Their history stays; a run that was under way can be retried after the next start."""
    typer.echo("Prefect is stopped" if local_prefect.stop(project) else "Prefect was not up")


@prefect_app.command()
def status(project: Project = Path()) -> None:
    """Say what is up. Exit code 1 when nothing is."""
    up = local_prefect.status(project)
    if up is None:
        typer.echo("Prefect is not up")
        raise typer.Exit(1)
    worker = "with a worker" if is_alive(up.worker) else "without a worker: stop and start it again"
    typer.echo(f"Prefect is up: {up.address}, {worker}")
