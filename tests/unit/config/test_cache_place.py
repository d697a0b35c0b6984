"""Where answers are kept: the same file from every folder."""

import pytest

from autorule.backends import check_cache
from autorule.config.cache_place import default_cache_file, told_of_used_before, user_cache_folder
from autorule.config.layers import build_config
from autorule.config.models import CacheConfig
from autorule.errors import ConfigError


def test_the_default_is_the_same_from_every_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    files = set()
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        files.add(CacheConfig().file)
    assert files == {tmp_path / "xdg/autorule/answers.sqlite"}


@pytest.mark.parametrize("named", ["", "relative/folder"])
def test_without_a_folder_that_counts_it_is_in_the_home(tmp_path, monkeypatch, named):
    monkeypatch.setenv("XDG_CACHE_HOME", named)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_cache_folder() == tmp_path / ".cache/autorule"


def test_the_file_of_earlier_versions_is_gone_on_with_and_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert told_of_used_before() is None
    before = tmp_path / "outputs/cache/answers.sqlite"
    before.parent.mkdir(parents=True)
    before.write_bytes(b"")
    assert CacheConfig().file == default_cache_file() == before
    assert str(before) in told_of_used_before() and "move it to" in told_of_used_before()
    assert CacheConfig(path="mine.sqlite").file == tmp_path / "mine.sqlite"


def test_a_path_that_is_named_stays_the_same_file_for_who_stands_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    named = CacheConfig(path="some/answers.sqlite")
    in_home = CacheConfig(path="~/answers.sqlite")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert named.file == tmp_path / "some/answers.sqlite"
    assert in_home.file == tmp_path / "answers.sqlite"


def test_a_user_without_a_home_is_told_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "")

    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("pathlib.Path.home", no_home)
    with pytest.raises(ConfigError, match=r"no home folder.*--cache"):
        check_cache(CacheConfig())
    assert told_of_used_before() is None
    check_cache(CacheConfig(enabled=False))


@pytest.mark.parametrize("name", ["a\0b", "bad\udcff.sqlite"])
def test_a_name_that_no_file_can_have_is_refused(name):
    with pytest.raises(ConfigError, match="path"):
        build_config(CacheConfig, {"path": name})
