"""What several test files need: records in one line, prompts, a scripted model for every stage."""

import os

import pytest
from hypothesis import settings

from autorule.backends import close_backends
from autorule.config.cache_place import user_cache_folder
from autorule.config.stages import RewardConfig, VerificationConfig
from autorule.preferences.completions import completion_id
from autorule.preferences.fields import pair_id
from autorule.prompting import load_prompt
from autorule.records import Completion, Message, Messages, PreferencePair, Rule
from autorule.rules.rule_sets import RuleSet, VerificationSpec
from autorule.rules.text import new_rule_id

PREFECT = "prefect"
"""The group of the files whose runs go to Prefect's servers and workers."""
PLANTED_KEY = "sk-planted-0123456789abcdef"
"""In Prefect's environment as $PLANTED_KEY: no file may hold it."""

# No test is judged by how long it takes: machines have other work to do.
settings.register_profile("untimed", deadline=None)
if settings.get_current_profile_name() == "default":
    settings.load_profile("untimed")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """With several workers: a file stays in one of them, which makes its fixtures once. What goes to Prefect stays in
    one too, which starts it once, and begins first: together it takes the longest."""
    groups = {}
    for item in items:
        mark = item.get_closest_marker("xdist_group")
        groups[item] = mark.args[0] if mark else item.nodeid.partition("::")[0]
        if not mark:
            item.add_marker(pytest.mark.xdist_group(groups[item]))
    items.sort(key=lambda item: (groups[item] != PREFECT, "unit" in item.path.parts))


def messages(*turns: str) -> Messages:
    """Turns that alternate between user and assistant."""
    roles = ("user", "assistant")
    return tuple(Message(role=roles[i % 2], content=turn) for i, turn in enumerate(turns))


def reply(text: str) -> Messages:
    return (Message(role="assistant", content=text),)


def make_pair(
    prompt: str = "Name a fruit.", chosen: str = "Pear.", rejected: str = "No.", row: int = 1, **fields
) -> PreferencePair:
    parts = messages(prompt), reply(chosen), reply(rejected)
    return PreferencePair(
        pair_id=pair_id(*parts), row=row, prompt=parts[0], chosen=parts[1], rejected=parts[2], **fields
    )


def make_completion(prompt: str = "Name a fruit.", text: str = "Pear.", row: int = 1) -> Completion:
    parts = messages(prompt), reply(text)
    return Completion(completion_id=completion_id(*parts), row=row, prompt=parts[0], completion=parts[1])


def make_rule_set(
    *texts: str,
    verification: VerificationConfig | None = None,
    reward: RewardConfig | None = None,
    weights: tuple[float, ...] = (),
) -> RuleSet:
    verification = verification or VerificationConfig()
    rules = [
        Rule(rule_id=new_rule_id(text), text=text, support=1, weight=weights[i] if weights else 1.0)
        for i, text in enumerate(texts)
    ]
    spec = VerificationSpec.from_config(verification, load_prompt(verification.prompt_name))
    return RuleSet(rules=tuple(rules), verification=spec, reward=reward or RewardConfig())


@pytest.fixture(autouse=True)
def _no_shared_backends():
    """Back ends and caches belong to a process; a test must not find those of another."""
    yield
    close_backends()


OWN_CACHE = user_cache_folder()


def use_cache_folder(patch, folder):
    """Answers that nobody named a file for must not be those of another test, nor come into the user's own cache. What
    else is kept there stays: files of other packages, and the model for engines, which takes long to write."""
    for name, other in (("HF_HOME", "huggingface"), ("MPLCONFIGDIR", "matplotlib")):
        patch.setenv(name, os.environ.get(name, str(OWN_CACHE.with_name(other))))
    (folder / "autorule").mkdir()
    for model in OWN_CACHE.glob("*-bf16"):
        (folder / "autorule" / model.name).symlink_to(model)
    patch.setenv("XDG_CACHE_HOME", str(folder))


@pytest.fixture(scope="session", autouse=True)
def _cache_folder_of_the_session(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        use_cache_folder(patch, tmp_path_factory.mktemp("cache"))
        yield


@pytest.fixture(autouse=True)
def _cache_folder_of_the_test(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        use_cache_folder(patch, tmp_path_factory.mktemp("cache"))
        yield


@pytest.fixture(scope="session")
def prefect(tmp_path_factory):
    """(folder, port) of Prefect, up with a worker and all deployments: one for all tests, which start it again where
    they end it. What is held back is tried again after a second."""
    from tests.integration.prefect_project import prefect_in

    folder = tmp_path_factory.mktemp("prefect")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLANTED_KEY", PLANTED_KEY)
        patch.setenv("PREFECT_DEPLOYMENT_CONCURRENCY_SLOT_WAIT_SECONDS", "1")
        with prefect_in(folder) as up:
            yield folder, up.port


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """The folder of a random model of two layers."""
    from tests.tiny_model import write_tiny_model

    return write_tiny_model(tmp_path_factory.mktemp("tiny"))
