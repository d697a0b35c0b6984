"""`autorule registry`: rule sets under a name, in versions, of which one is current."""

from pathlib import Path
from typing import Annotated

import typer

from autorule.commands.options import AsJson, By, RuleSetFile
from autorule.registry import RuleSetRegistry
from autorule.registry.folder import REGISTRY
from autorule.rules.rule_sets import load_rule_set
from autorule.rules.saving import user_name
from autorule.statistics.splits import PROMOTION_SHARE
from autorule.terminal.registry import print_decision, print_registry

Name = Annotated[str, typer.Argument(help="what the rule sets are for, such as helpfulness")]
Reason = Annotated[str, typer.Option(help="why, for those who read the history")]
Registry = Annotated[Path, typer.Option(help="folder of the registry")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    registry = typer.Typer(help="Versions of rule sets: publish, promote, roll back.", no_args_is_help=True)
    for command in (publish, promote, show, path, rollback):
        registry.command()(command)
    app.add_typer(registry, name="registry")


def publish(name: Name, rule_set: RuleSetFile, reason: Reason, by: By = None, registry: Registry = REGISTRY) -> None:
    """Keep a rule set as a version that never changes. The first version of a name becomes current."""
    found = RuleSetRegistry(registry, name).publish(load_rule_set(rule_set), user_name(by), reason)
    what = "published" if found.is_new else "was published before, with the same content: this reason is not noted"
    typer.echo(f"{name} {found.version} {what}{'; it is current' if found.is_current else ''}")


def promote(
    name: Name,
    rule_set: RuleSetFile,
    candidate: Annotated[Path, typer.Option(metavar="RUN", help="folder of the rule set's evaluation")],
    current: Annotated[Path, typer.Option(metavar="RUN", help="folder of the current version's, on the same pairs")],
    reason: Reason,
    share: Annotated[
        float, typer.Option(min=0.01, max=1, help="share of prompts, by hash, that decide")
    ] = PROMOTION_SHARE,
    seed: Annotated[int, typer.Option(help="of the bootstrap")] = 0,
    by: By = None,
    registry: Registry = REGISTRY,
) -> None:
    """Make a rule set current if it tells more preferences right than the current one, beyond chance.

    Only prompts of the promotion split count that neither set was mined from, or chosen by. Every comparison on the
    same pairs asks more of the next. Exit code 1 when the current version stays.
    """
    from autorule.registry.promoting import promote as promote_

    own = RuleSetRegistry(registry, name)
    event = promote_(own, load_rule_set(rule_set), candidate, current, user_name(by), reason, share, seed)
    print_decision(event)
    if event.action == "kept":
        raise typer.Exit(1)


def show(
    name: Name,
    registry: Registry = REGISTRY,
    as_json: AsJson = False,
) -> None:
    """Show the versions of a name, the rules of the current one, and the history."""
    own = RuleSetRegistry(registry, name)
    own.check_known()
    print_registry(own, as_json)


def path(
    name: Name,
    version: Annotated[str | None, typer.Option(help="such as v0002 (default: the current one)")] = None,
    registry: Registry = REGISTRY,
) -> None:
    """Print the absolute path of the current version's file, or of another one's, for scripts."""
    typer.echo(RuleSetRegistry(registry, name).path(version).absolute())


def rollback(
    name: Name,
    reason: Reason,
    to: Annotated[str | None, typer.Option(help="version (default: the one that was current before)")] = None,
    by: By = None,
    registry: Registry = REGISTRY,
) -> None:
    """Make an earlier version current again, or any other one, without a comparison."""
    event = RuleSetRegistry(registry, name).roll_back(to, user_name(by), reason)
    typer.echo(f"{name} {event.version} is current")
