"""Encodings: named where bytes show them, offered to be tried where they might be one, else said to be unknown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autorule.storage import decoded
from autorule.text_encodings.narrow import narrow_encodings
from autorule.text_encodings.wide import wide_encoding

WIDE = {"utf-16-le": "UTF-16LE", "utf-16-be": "UTF-16BE", "utf-32-le": "UTF-32LE", "utf-32-be": "UTF-32BE"}
TEXTS = [
    "a",
    "plain text",
    "提示,chosen,rejected\n",
    "规则一\n规则二\n",
    "回答应简短。\n",
    '{"提示":"一一一一一一一一","chosen":"一"}',
    "用中文回答问题，不要使用英文。请尽量简短，给出例子。\n" * 30,
    "Ответ должен быть кратким и ясным.\n",
    "答えは短くしてください。\n",
    "짧아야 합니다.\n",
]


def told(text, encoding):
    content = text.encode(encoding)
    with pytest.raises(UnicodeDecodeError) as caught:
        content.decode()
    return narrow_encodings(content, caught.value.start)


@pytest.mark.parametrize("encoding", WIDE)
@pytest.mark.parametrize("text", TEXTS)
def test_wide_characters_without_a_mark(text, encoding):
    assert wide_encoding(text.encode(encoding)) == WIDE[encoding]
    with pytest.raises(UnicodeError, match=f"it seems to be {WIDE[encoding]}, not UTF-8"):
        decoded(text.encode(encoding))


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_utf8_is_never_taken_for_wide_characters(text):
    assert wide_encoding(text.encode()) is None


@pytest.mark.parametrize(
    "content", [b"prompt,chosen\np,c\0,r\n", b"\0" * 40, bytes(range(256)) * 4, b"SQLite format 3\0\x10\0\x01\x01\0@ "]
)
def test_zeros_that_make_no_text_are_no_wide_characters(content):
    assert wide_encoding(content) is None


@pytest.mark.parametrize(
    "text", ["größe", "größe, Größer für Schöß", "ä", "É", "“x” – é", "première été où ça", "Sei höflich.\nKürze"]
)
def test_windows_1252(text):
    assert told(text, "cp1252") == ("CP1252",)


@pytest.mark.parametrize(
    ("text", "encoding", "name"),
    [
        ("最好的水果", "gbk", "GBK"),
        ("请简短回答，不要重复。", "gbk", "GBK"),
        ("中文", "gbk", "GBK"),
        ("日本語の規則", "shift_jis", "SHIFT_JIS"),
        ("データ", "shift_jis", "SHIFT_JIS"),
        ("はい", "shift_jis", "SHIFT_JIS"),
        ("回答要簡短，不要重複。", "big5", "BIG5"),
        ("답변은 짧아야 합니다.", "euc_kr", "EUC-KR"),
        ("回答は短くしてください。", "euc_jp", "EUC-JP"),
        ("Ответ должен быть кратким", "cp1251", "CP1251"),
        ("Ответ должен быть кратким", "koi8-r", "KOI8-R"),
    ],
)
def test_others_are_among_those_to_be_tried_and_never_windows_1252(text, encoding, name):
    assert name in told(text, encoding) and "CP1252" not in told(text, encoding)
    with pytest.raises(UnicodeError, match=f"iconv -f .*{name}"):
        decoded(text.encode(encoding))


def test_what_is_not_known_is_said_to_be():
    with pytest.raises(UnicodeError, match="what encoding the file is in is not known"):
        decoded("prompt,chosen,rejected".encode("cp500"))


@given(st.binary(min_size=1, max_size=60), st.integers(0, 59))
def test_no_bytes_end_the_search_with_an_error(content, at):
    assert len(narrow_encodings(content, min(at, len(content) - 1))) <= 3
    wide_encoding(content)
