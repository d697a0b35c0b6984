"""The registry: versions that never change, a current one, a history; crashes and races between its steps."""

import json
import multiprocessing
import shutil

import pytest

from autorule.errors import ConfigError, InputError, RuleSetError
from autorule.registry import RuleSetRegistry, folder
from autorule.registry.history import read_events
from autorule.rules.rule_sets import dump_rule_set, load_rule_set
from tests.conftest import make_rule_set

PEARS, APPLES, PLUMS = (make_rule_set(f"Mention {fruit}.") for fruit in ("pears", "apples", "plums"))
START_S = 60


@pytest.fixture
def registry(tmp_path):
    return RuleSetRegistry(tmp_path / "registry", "fruit")


def actions(registry):
    return [(event.action, event.version, event.current) for event in registry.history()]


def publish(registry, *rule_sets):
    return [registry.publish(rule_set, "me", "a try").version for rule_set in rule_sets]


def test_the_first_version_is_current_and_later_ones_wait(registry):
    assert registry.publish(PEARS, "me", "a start") == ("v0001", True, True)
    assert registry.publish(APPLES, "me", "a try") == ("v0002", True, False)
    assert registry.load() == PEARS and registry.load("v0002") == APPLES
    assert actions(registry) == [
        ("published", "v0001", None), ("promoted", "v0001", "v0001"), ("published", "v0002", "v0001"),
    ]  # fmt: skip
    assert registry.history()[1].reason == "the first version: nothing was compared"
    assert {event.time[-6:] for event in registry.history()} == {"+00:00"}


def test_the_same_content_is_the_same_version(registry):
    publish(registry, PEARS, APPLES)
    before = registry.history()
    assert registry.publish(PEARS, "you", "again") == ("v0001", False, True)
    assert registry.history() == before and registry.versions() == ["v0001", "v0002"]


def test_going_back_takes_one_step_each_time(registry):
    publish(registry, PEARS, APPLES, PLUMS)
    for version in ("v0002", "v0003"):
        registry.roll_back(version, "me", "by hand")
    assert registry.roll_back(None, "me", "worse").version == "v0002"
    assert registry.roll_back(None, "me", "worse still").version == "v0001"
    assert registry.load() == PEARS
    with pytest.raises(InputError, match="no version was current before v0001"):
        registry.roll_back(None, "me", "further")
    with pytest.raises(ConfigError, match="is current already"):
        registry.roll_back("v0001", "me", "stay")
    with pytest.raises(InputError, match="no version 'v0009'; the last ones are v0001, v0002, v0003"):
        registry.roll_back("v0009", "me", "elsewhere")
    assert registry.history()[-1].reason == "worse still"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "/etc", "a\\b", "a\n", ".hidden", "a" * 65, "é"])
def test_a_name_is_a_plain_folder_name(tmp_path, name):
    with pytest.raises(ConfigError, match="take up to 64"):
        RuleSetRegistry(tmp_path, name)


@pytest.mark.parametrize("version", ["..", "v1", "../../x", "v0001/..", "v0001\n"])
def test_a_version_is_one_that_is_there(registry, version):
    publish(registry, PEARS)
    with pytest.raises(InputError, match="has no version"):
        registry.path(version)


def test_an_unknown_name_makes_nothing_on_disk(registry):
    assert registry.current() is None and registry.history() == []
    for ask in (registry.path, lambda: registry.roll_back(None, "me", "why")):
        with pytest.raises(InputError, match="autorule registry publish fruit"):
            ask()
    assert not registry.folder.parent.exists()


@pytest.mark.parametrize("reason", ["", "  ", "\udcff"])
def test_a_reason_is_in_words(registry, reason):
    with pytest.raises(ConfigError, match="say it in words"):
        registry.publish(PEARS, "me", reason)
    with pytest.raises(ConfigError, match=r"by .*: say it in words"):
        registry.publish(PEARS, reason, "a start")
    assert registry.versions() == []


def test_a_version_that_was_changed_is_refused(registry):
    publish(registry, PEARS, APPLES)
    for version in ("v0001", "v0002"):
        path = registry.folder / version / "rule_set.json"
        path.write_text(dump_rule_set(PLUMS))
        with pytest.raises(RuleSetError, match="changed since it was published"):
            registry.path(version)
    with pytest.raises(RuleSetError, match="changed since it was published"):
        registry.load()
    assert registry.publish(PLUMS, "me", "a try") == ("v0003", True, False)  # not the file that was changed
    assert registry.load("v0003") == PLUMS


@pytest.mark.parametrize("deleted", ["v0002", "v0001"])
def test_the_number_of_a_deleted_version_is_not_given_to_another(registry, deleted):
    publish(registry, PEARS, *([APPLES] if deleted == "v0002" else []))
    shutil.rmtree(registry.folder / deleted)
    version = registry.publish(PLUMS, "me", "a try").version
    assert version == ("v0003" if deleted == "v0002" else "v0002") and registry.load(version) == PLUMS
    with pytest.raises(InputError, match=f"has no version '{deleted}'"):
        registry.path(deleted)


def test_a_version_that_can_not_be_read_is_named(registry):
    publish(registry, PEARS)
    path = registry.folder / "v0001" / "rule_set.json"
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match=r"v0001/rule_set\.json can't be read: Is a directory"):
        registry.load()


def test_without_a_current_version_the_way_to_one_is_told(registry):
    with registry.writing("me", "a start"):
        registry.keep(PEARS, "me", "a start")  # and no more, as when a crash follows
    with pytest.raises(InputError, match="rollback fruit --to VERSION"):
        registry.path()
    registry.roll_back("v0001", "me", "finish it")
    assert registry.load() == PEARS


def test_a_registry_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "registry").write_text("a file")
    with pytest.raises(ConfigError, match="can't be written"):
        RuleSetRegistry(tmp_path / "registry", "fruit").publish(PEARS, "me", "a start")


def crash(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("step", "n_calls", "versions", "current"),
    [
        ("write_text", 1, [], None),  # the folder is there, its file is not
        ("append_event", 1, ["v0001"], None),  # the file is there, no event names it
        ("append_event", 2, ["v0001"], None),  # published, not yet current
        ("write_text", 2, ["v0001"], "v0001"),  # current by the history alone
    ],
)
def test_a_crash_between_any_two_steps_leaves_a_registry_that_reads(
    registry, monkeypatch, step, n_calls, versions, current
):
    whole, calls = getattr(folder, step), []
    monkeypatch.setattr(folder, step, lambda *a: (calls.append(a), crash() if len(calls) == n_calls else whole(*a)))
    with pytest.raises(KeyboardInterrupt):
        registry.publish(PEARS, "me", "a start")
    monkeypatch.setattr(folder, step, whole)
    assert (registry.versions(), registry.current_version()) == (versions, current)
    assert len(registry.history()) == {"v0001": 2}.get(current, n_calls - 1 if step == "append_event" else 0)
    again = registry.publish(PEARS, "me", "a start")
    assert again.is_current and registry.load() == PEARS and registry.unfinished() is None
    assert [event.action for event in registry.history()] == ["published", "promoted"]
    assert again.version == ("v0002" if not versions else "v0001")  # a number is never taken twice


def test_a_switch_that_was_cut_off_is_finished_by_the_next_command(registry, monkeypatch):
    publish(registry, PEARS, APPLES)
    whole = folder.write_text
    monkeypatch.setattr(folder, "write_text", crash)
    with pytest.raises(KeyboardInterrupt):
        registry.roll_back("v0002", "me", "by hand")
    monkeypatch.setattr(folder, "write_text", whole)
    assert registry.load() == PEARS and registry.unfinished().version == "v0002"
    publish(registry, PLUMS)
    assert registry.load() == APPLES and registry.unfinished() is None


@pytest.mark.parametrize("torn", ["", "{", '{"version":"v00'])
def test_a_torn_pointer_is_read_from_the_history(registry, torn):
    publish(registry, PEARS, APPLES)
    (registry.folder / "current.json").write_text(torn)
    assert registry.load() == PEARS
    publish(registry, PLUMS)
    assert json.loads((registry.folder / "current.json").read_text())["version"] == "v0001"


def test_a_torn_end_of_the_history_is_passed_over_and_then_replaced(registry):
    publish(registry, PEARS)
    path = registry.folder / "history.jsonl"
    whole = path.read_bytes()
    for torn in (whole + b'{"time": "20', whole + b"\0\0\0", whole[:-1]):
        path.write_bytes(torn)
        assert len(registry.history()) == 2
    publish(registry, APPLES)
    path.write_bytes(path.read_bytes() + b'{"time": "20')
    publish(registry, PLUMS)
    assert path.read_bytes().startswith(whole) and len(path.read_bytes().splitlines()) == 4
    assert [event.version for event in registry.history()] == ["v0001", "v0001", "v0002", "v0003"]
    path.write_bytes(b"garbage\n" + whole)
    with pytest.raises(InputError, match=r"history.jsonl, line 1 is no event"):
        read_events(path)
    assert registry.load() == PEARS  # current.json needs no history


def publish_at_once(registry, rule_set, barrier, found, with_lock):
    if not with_lock:  # as on another machine
        folder.fcntl.flock = lambda *_: None
    barrier.wait(START_S)
    found.put(registry.publish(rule_set, "me", "a race").version)


def race(registry, rule_sets, with_lock):
    spawn = multiprocessing.get_context("spawn")
    barrier, found = spawn.Barrier(len(rule_sets)), spawn.Queue()
    workers = [
        spawn.Process(target=publish_at_once, args=(registry, one, barrier, found, with_lock)) for one in rule_sets
    ]
    for worker in workers:
        worker.start()
    versions = [found.get(timeout=START_S) for _ in workers]
    for worker in workers:
        worker.join(START_S)
    return versions


@pytest.mark.parametrize("with_lock", [True, False])
def test_processes_that_publish_at_once_take_versions_of_their_own(registry, with_lock):
    rule_sets = [make_rule_set(f"Mention fruit {i}.") for i in range(6)]
    versions = race(registry, rule_sets, with_lock)
    assert sorted(versions) == [f"v{i:04d}" for i in range(1, 7)]
    stored = [load_rule_set(registry.folder / version / "rule_set.json") for version in versions]
    assert {dump_rule_set(one) for one in stored} == {dump_rule_set(one) for one in rule_sets}
    assert len([event for event in registry.history() if event.action == "published"]) == 6


def test_processes_that_publish_the_same_get_the_same_version(registry):
    assert race(registry, [PEARS] * 6, with_lock=True) == ["v0001"] * 6
    assert [event.action for event in registry.history()] == ["published", "promoted"]


@pytest.mark.parametrize("name", ["v" + "9" * 240, "v" + "9" * 10, "v0001x"])
def test_a_folder_that_only_looks_like_a_version_gives_no_number(registry, name):
    (registry.folder / name).mkdir(parents=True)
    assert publish(registry, PEARS, APPLES) == ["v0001", "v0002"]
    assert registry.versions() == ["v0001", "v0002"]


def test_after_the_last_number_there_is_an_end(registry):
    (registry.folder / "v999999999").mkdir(parents=True)
    with pytest.raises(InputError, match="v999999999, the last number that there is: publish under another name"):
        publish(registry, PEARS)


def test_a_history_with_a_version_of_too_many_digits_names_the_line(registry):
    publish(registry, PEARS)
    path = registry.folder / "history.jsonl"
    path.write_text(path.read_text().replace("v0001", "v" + "9" * 5000))
    with pytest.raises(InputError, match="line 1 is no event"):
        publish(registry, APPLES)
