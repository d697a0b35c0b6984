"""The command line: which commands there are. What a command does is loaded when it is called."""

import os
from typing import Annotated, Any, NoReturn

import typer

from autorule import __version__
from autorule.commands.late import LateCommand, LateGroup
from autorule.commands.options import debugging
from autorule.errors import AutoruleError, DiskError, RunFailedError
from autorule.terminal.streams import exit_code, streams_kept

COMMANDS = (
    LateCommand("extract", "extract", "Mine a rule set from preference pairs."),
    LateCommand("score", "score", "Score completions against a rule set. Exit code 3 when none of them got a reward."),
    LateCommand(
        "evaluate",
        "evaluate",
        "Measure rules on held-out pairs: agreement with people, rule by rule and of the set.",
    ),
    LateCommand(
        "select",
        "select",
        "Keep the rules that agree with people beyond chance, each once, and weigh them; pinned rules stay.",
    ),
    LateCommand(
        "compare",
        "compare",
        "Compare rule sets, or verifiers of one set: on the same pairs, across data sets, and by what they cost.",
    ),
    LateCommand("report", "report", "Show a run as one HTML page, with its plots as SVG and PNG beside it."),
    LateCommand(
        "audit",
        "audit",
        "Reward answers that are worth nothing, and say which rules let them pass. Exit code 1 when too many do.",
    ),
    LateCommand("audit-training", "audit_training", "Look for signs of reward hacking in the log of a training run."),
    LateCommand("rules", "rules", "Rule sets: lineage, import, comparison, checks, changes."),
    LateCommand("registry", "registry", "Versions of rule sets: publish, promote, roll back."),
    LateCommand(
        "export",
        "export",
        "Write a rule set as what a trainer loads: a folder with a file, the rule set, a README with the flags.",
    ),
    LateCommand(
        "export-data",
        "export_data",
        "Write prompts in a trainer's layout, with what its reward function needs beside them.",
    ),
    LateCommand(
        "preferences",
        "preferences",
        "Write preference pairs out of scored completions: of each prompt, what the rules reward most and least.",
    ),
    LateCommand("reward", "reward", "Rewards: what they are made of, scaling, calibration."),
    LateCommand("serve", "serve", "Serve rewards over HTTP: /get_reward (OpenRLHF), /slime, /llama_factory, /score."),
    LateCommand("verifier", "verifier", "The verifier."),
    LateCommand("prefect", "prefect", "Prefect on this machine: server, worker and deployments."),
    LateCommand("doctor", "doctor", "Show versions and back ends, and whether the server answers and the model loads."),
    LateCommand("cache", "cache", "The cache of model answers."),
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
    with streams_kept() as stdout:
        code = _run()
    raise SystemExit(exit_code(code, stdout) if isinstance(code, int) else code)


def _run() -> Any:
    """Runs the command; its exit code."""
    try:
        app()
    except SystemExit as ended:
        return ended.code or 0
    except (AutoruleError, OSError) as error:
        if debugging():
            raise
        from autorule.terminal.console import print_error

        print_error(str(error if isinstance(error, AutoruleError) else DiskError.of(error)))
        return 3 if isinstance(error, RunFailedError) else 2
    return 0
