"""The command line: which commands there are. What a command does is loaded when it is called."""

import os
from typing import Annotated, NoReturn

import typer

from autorule import __version__
from autorule.command_options import debugging
from autorule.errors import AutoruleError, RunFailedError
from autorule.late_commands import LateCommand, LateGroup

COMMANDS = (
    LateCommand("extract", "extraction_cli", "Mine a rule set from preference pairs."),
    LateCommand("score", "extraction_cli", "Score completions against a rule set."),
    LateCommand(
        "evaluate",
        "evaluation_cli",
        "Measure rules on held-out pairs: agreement with people, rule by rule and of the set.",
        True,
    ),
    LateCommand(
        "select",
        "select_cli",
        "Keep the rules that agree with people beyond chance, each once, and weigh them; pinned rules stay.",
    ),
    LateCommand(
        "compare",
        "compare_cli",
        "Compare rule sets, or verifiers of one set: on the same pairs, across data sets, and by what they cost.",
    ),
    LateCommand("report", "report_cli", "Show a run as one HTML page, with its plots as SVG and PNG beside it."),
    LateCommand(
        "audit",
        "audit_cli",
        "Reward answers that are worth nothing, and say which rules let them pass. Exit code 1 when too many do.",
    ),
    LateCommand("audit-training", "audit_cli", "Look for signs of reward hacking in the log of a training run."),
    LateCommand("rules", "rules_cli", "Rule sets: lineage, import, comparison, checks, changes."),
    LateCommand("registry", "registry_cli", "Versions of rule sets: publish, promote, roll back."),
    LateCommand(
        "export",
        "export_cli",
        "Write a rule set as what a trainer loads: a folder with a file, the rule set, a README with the flags.",
    ),
    LateCommand(
        "export-data",
        "export_cli",
        "Write prompts in a trainer's layout, with what its reward function needs beside them.",
    ),
    LateCommand(
        "preferences",
        "export_cli",
        "Write preference pairs out of scored completions: of each prompt, what the rules reward most and least.",
    ),
    LateCommand("reward", "reward_cli", "Rewards: what they are made of, scaling, calibration."),
    LateCommand(
        "serve", "reward_cli", "Serve rewards over HTTP: /get_reward (OpenRLHF), /slime, /llama_factory, /score."
    ),
    LateCommand("verifier", "verifier_cli", "The verifier."),
    LateCommand("prefect", "prefect_cli", "Prefect on this machine: server, worker and deployments."),
    LateCommand(
        "doctor", "cache_cli", "Show versions and back ends, and whether the server answers and the model loads."
    ),
    LateCommand("cache", "cache_cli", "The cache of model answers."),
)


class _Commands(LateGroup):
    late = COMMANDS


app = typer.Typer(
    cls=_Commands,
    help="Mine rules from preference data and turn them into rewards.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def _main(version: Annotated[bool, typer.Option("--version", help="show the version")] = False) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def main() -> NoReturn:
    """Entry point: errors that a user can mend are one line."""
    os.environ.setdefault("TQDM_DISABLE", "1")  # model loaders draw bars of their own
    try:
        app()
    except AutoruleError as error:
        if debugging():
            raise
        from autorule.terminal import print_error

        print_error(str(error))
        raise SystemExit(3 if isinstance(error, RunFailedError) else 2) from None
    raise SystemExit(0)
