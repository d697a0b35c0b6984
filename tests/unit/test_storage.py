"""Files that are written whole or not at all, and text in the encodings that it comes in."""

import errno
import os
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autorule.errors import AutoruleError, DiskError
from autorule.storage import append_text, decoded, parse_json, read_text, remove_folder, write_text, writing

OF_WINDOWS = ", and the file seems to be Windows-1252; save it as UTF-8"


def test_a_fault_of_the_disk_names_the_file_and_the_fix(tmp_path, monkeypatch):
    path = tmp_path / "manifest.json"
    write_text(path, "before")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.replace", full)
        with pytest.raises(DiskError) as told:
            write_text(path, "after")
    assert str(told.value) == f"{path}: No space left on device; free space on its disk"
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]
    assert isinstance(told.value, AutoruleError) and str(pickle.loads(pickle.dumps(told.value))) == str(told.value)


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("gone/a.txt", "its folder is"),
        ("file/a.txt", "part of its path is a file"),
        ("folder", "it is a folder"),
        ("x" * 300, "give a shorter name"),
    ],
)
@pytest.mark.parametrize("write", [write_text, append_text])
def test_each_fault_of_a_place_has_its_fix(tmp_path, where, words, write):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DiskError) as told:
        write(tmp_path / where, "text")
    assert words in str(told.value) and where[:9] in str(told.value)


def test_what_goes_wrong_in_the_text_itself_is_no_fault_of_the_disk(tmp_path):
    with pytest.raises(OSError, match="told to fail") as told, writing(tmp_path / "a"):
        raise OSError("told to fail")
    assert not isinstance(told.value, DiskError)
    with pytest.raises(ConnectionRefusedError), writing(tmp_path / "a"):
        raise ConnectionRefusedError(errno.ECONNREFUSED, "refused")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_through_a_link(tmp_path):
    others = tmp_path / "others.txt"
    others.write_text("theirs")
    link = tmp_path / "link"
    link.symlink_to(others)
    with pytest.raises(DiskError, match="it is a link"):
        append_text(link, "mine")
    temporary = tmp_path / f".link.{os.getpid()}.tmp"
    temporary.symlink_to(others)
    write_text(link, "mine")
    assert others.read_text() == "theirs"
    assert link.read_text() == "mine" and not link.is_symlink() and not temporary.is_symlink()


def test_a_folder_that_is_gone_already_need_not_be_removed(tmp_path):
    remove_folder(tmp_path / "gone")
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(OSError, match="symbolic link"):
        remove_folder(tmp_path / "link")


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0\ufeff")))
def test_text_is_read_with_and_without_a_mark_and_refused_in_wide_encodings(text):
    for encoding in ("utf-8", "utf-8-sig"):
        assert decoded(text.encode(encoding)) == text
    for encoding in ("utf-16", "utf-32"):
        with pytest.raises(UnicodeError, match=f"it seems to be {encoding.upper()}, not UTF-8; save it as UTF-8"):
            decoded(text.encode(encoding))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            "Sei höflich.\nKürze".encode("cp1252"),
            f"line 1 is not UTF-8 text (byte 0xf6){OF_WINDOWS}",
        ),
        (
            "first\nsecond é".encode("latin-1"),
            f"line 2 is not UTF-8 text (byte 0xe9){OF_WINDOWS}",
        ),
        ("plain text".encode("utf-16-le"), "seems to be UTF-16"),
        ("日本語の規則".encode("shift-jis"), "line 1 is not UTF-8 text"),
    ],
)
def test_text_of_another_encoding_is_named_and_not_guessed(tmp_path, content, words):
    path = tmp_path / "rules.txt"
    path.write_bytes(content)
    with pytest.raises(UnicodeError) as told:
        read_text(path)
    assert words in str(told.value) and "save it as UTF-8" in str(told.value)
    assert ("1252" in str(told.value)) == ("1252" in words)


@pytest.mark.parametrize("text", ['{"a": NaN}', "[Infinity]", "[-Infinity]"])
def test_what_is_no_number_of_json_is_refused(text):
    with pytest.raises(ValueError, match="which is no number of JSON"):
        parse_json(text)
    with pytest.raises(ValueError, match="nested too deep"):
        parse_json("[" * 100_000)


@pytest.mark.parametrize("number", ["1e999", "-1e400", "1" + "0" * 400 + ".5", "9" * 310, "-" + "9" * 5000])
def test_a_number_of_json_that_no_float_holds_is_refused_in_few_words(number):
    with pytest.raises(ValueError, match=r"it holds .* too large") as caught:
        parse_json(f'{{"a": [{number}]}}')
    assert len(str(caught.value)) < 100


def test_numbers_that_a_float_holds_are_read():
    assert parse_json("[1e308, -0.5, 12345678901234567890, 1e-999]") == [1e308, -0.5, 12345678901234567890, 0.0]
