"""Keys that servers quote back, in whatever form: in no text that is kept or shown; and answers stay as they are where
the key is a short word."""

import base64
import html
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import Response

from autorule.backends import keys
from autorule.backends.base import ChoiceRequest, GenerateRequest, Question
from autorule.backends.keys import answer_without_keys, quoted, read_key, without_keys
from autorule.backends.openai_compatible import OpenAICompatibleBackend
from autorule.config.models import ModelConfig
from autorule.config.stages import Sampling
from autorule.records import ModelOutput
from tests.conftest import messages
from tests.integration.scripted_server import ScriptedServer, completion, logprobs

KEY = "sk-PLANTED/9f8e7d6c5b4a+3210=="
HALVES = (KEY[:10], KEY[-12:], KEY[8:18])


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setattr(keys, "_known", {KEY})
    return keys._known


def unicode_escapes(text):
    return "".join(f"\\u{ord(char):04x}" for char in text)


FORMS = {
    "plain": KEY,
    "JSON's slash": KEY.replace("/", "\\/"),
    "JSON's escapes": unicode_escapes(KEY),
    "JSON in JSON": unicode_escapes(KEY).replace("\\", "\\\\"),
    "capital digits": unicode_escapes(KEY).replace("2f", "2F").replace("2b", "2B"),
    "Python's escapes": "".join(f"\\x{ord(char):02x}" for char in KEY),
    "a URL's": quote(KEY),
    "a URL's, all": quote(KEY, safe=""),
    "a URL's, twice": quote(quote(KEY, safe="")),
    "HTML's": "".join(f"&#x{ord(char):X};" for char in KEY),
    "base64": base64.b64encode(KEY.encode()).decode(),
    "base64 of a header": base64.b64encode(f"Bearer {KEY}".encode()).decode(),
    "base64 of a user": base64.b64encode(f"me:{KEY}!".encode()).decode(),
    "base64 in a URL": base64.urlsafe_b64encode(f"Bearer {KEY}".encode()).decode(),
}


def holds_key(text):
    """The key or a part of it, in any of the forms that a reader could undo."""
    coded = base64.b64encode(KEY.encode()).decode()[:12]
    undone = html.unescape(quote(text, safe="%/+=[]' ")).replace("\\/", "/")
    return any(part in seen for part in (*HALVES, coded) for seen in (text, undone))


@pytest.mark.parametrize("form", FORMS)
def test_a_key_is_known_in_every_form(form):
    assert "[key]" in without_keys(f"said {FORMS[form]}, no more")
    assert not holds_key(quoted({"said": FORMS[form]})) and not holds_key(quoted(f"x{FORMS[form]}".encode()))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
def test_a_key_is_known_in_every_encoding_of_a_body(encoding):
    shown = quoted(f'{{"error": "no such key: {KEY}"}}'.encode(encoding))
    assert "no such key: [key]" in shown


@given(st.text(), st.text(), st.lists(st.sampled_from("pujxh%"), min_size=len(KEY), max_size=len(KEY)))
def test_a_key_goes_however_each_of_its_characters_is_written(before, after, ways):
    spell = {
        "p": lambda char: char,
        "u": lambda char: f"\\u{ord(char):04x}",
        "j": lambda char: f"\\{char}" if char == "/" else char,
        "x": lambda char: f"\\x{ord(char):02X}",
        "h": lambda char: f"&#{ord(char)};",
        "%": lambda char: f"%{ord(char):02X}",
    }
    written = "".join(spell[way](char) for way, char in zip(ways, KEY, strict=True))
    for shown in (without_keys(before + written + after), answer_without_keys([before + written + after])[0]):
        assert written not in shown and "[key]" in shown


@given(st.text(alphabet=KEY + "\\%&;u0123456789abcdefx ", max_size=200), st.integers(2, 60))
def test_what_is_quoted_is_as_short_as_asked_and_without_the_key(text, n_chars):
    shown = quoted(text + KEY + text, n_chars)
    assert len(shown) <= n_chars and KEY not in shown


@given(st.integers(1, len(KEY)), st.integers(0, 60))
def test_a_cut_leaves_no_part_of_a_key(n_before, at):
    """Wherever it falls: ours, or that of a server that cut its words before it sent them."""
    text = "x" * n_before + KEY
    assert KEY[:6] not in quoted(text, at) and KEY[:6] not in quoted(text[: n_before + min(at, len(KEY))])


def test_many_keys_do_not_bring_one_that_is_cut_into_sight():
    shown = quoted(f"{FORMS['JSON in JSON']} " * 500)
    assert shown.startswith("[key] [key]") and len(shown) == 300 and not holds_key(shown)


def test_one_key_may_begin_another(known):
    known |= {"sk-abcde", "sk-abcde-and-secret", "sk-abc", "sk-abc-def"}
    assert without_keys("x sk-abcde-and-secret") == "x [key]"
    assert without_keys("x sk-abc-def") == "x [key]"


@pytest.mark.parametrize("key", ["token", "logprob", "No", "1", "key", "Yes", "text"])
def test_a_key_that_is_a_word_changes_no_answer(monkeypatch, key):
    monkeypatch.setenv("WORD", key)
    read_key("WORD")
    reply = logprobs(("Yes", -0.1), ("No", -2.5))
    assert answer_without_keys(reply) == reply
    with ScriptedServer(lambda body: reply) as server:
        model = backend(server, api_key_env="WORD")
        request = ChoiceRequest("r", "verification", messages("Hi."), (Question("q", "Is it?"),))
        [(_, _, result)] = model.score_choices([request])
        model.close()
    assert result.probabilities["Yes"] == pytest.approx(0.905, abs=1e-3)
    assert result.probabilities["No"] == pytest.approx(0.082, abs=1e-3)


def test_a_short_key_is_hidden_where_it_stands_alone_in_what_is_shown(known):
    known |= {"hunter2", "1", "key"}
    assert (
        without_keys("Bearer hunter2, not hunter21, HTTP 401 1 [key]") == "Bearer [key], not hunter21, HTTP 401 1 [key]"
    )


def test_names_of_fields_stay(known):
    known |= {"finish_reason", "top_logprobs"}
    reply = {"finish_reason": "stop", "top_logprobs": [{KEY: KEY}]}
    assert answer_without_keys(reply) == {"finish_reason": "stop", "top_logprobs": [{"[key]": "[key]"}]}


def backend(server, **settings):
    settings = {"max_retries": 0, "retry_wait_s": 0.01, "server_wait_s": 0, **settings}
    return OpenAICompatibleBackend(
        ModelConfig(backend="openai_compatible", model="m", base_url=server.base_url, **settings)
    )


def answered(reply):
    with ScriptedServer(lambda body: reply) as server:
        model = backend(server)
        [(_, result)] = model.generate([GenerateRequest("r", "mining", messages("Hi."), Sampling())])
        model.close()
    return result


def body_with(written, **message):
    text = json.dumps(completion("The answer @@ is here.", **message))
    return text.replace("@@", written)


@pytest.mark.parametrize(
    "body",
    [
        *(pytest.param(body_with(FORMS[form]).encode(), id=form) for form in FORMS if form != "Python's escapes"),
        pytest.param(body_with(KEY).encode("utf-16"), id="UTF-16"),
        pytest.param(body_with("", reasoning="@@").replace("@@", FORMS["JSON's escapes"]).encode(), id="reasoning"),
        pytest.param(
            json.dumps(
                completion([{"type": "text", "text": f"So {KEY[:15]}"}, {"type": "text", "text": KEY[15:]}])
            ).encode(),
            id="two blocks",
        ),
    ],
)
def test_an_answer_is_kept_without_the_key(body):
    result = answered(Response(body, media_type="application/json"))
    assert isinstance(result, ModelOutput)
    assert not holds_key(result.text + (result.reasoning or "")) and "answer" in result.text + "answer"


@pytest.mark.parametrize("kind", ["x" * 25 + KEY, {"x" * 25 + KEY: 1}, [f"{KEY}"], {KEY: KEY}])
def test_a_malformed_reply_is_named_without_half_a_key(kind):
    escaped = json.dumps(completion([{"type": kind}])).replace(KEY, FORMS["JSON's escapes"])
    result = answered(Response(escaped, media_type="application/json"))
    assert "which is no text" in result.message and not holds_key(result.message)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("status", [200, 400])
def test_a_refusal_is_named_without_the_key(form, status):
    result = answered(Response('{"error": "the key ' + FORMS[form] + ' is none"}', status))
    assert result.message and not holds_key(result.message)


@pytest.mark.parametrize(
    "reply",
    [
        '{"choices": [], "choices": [{"message": {"content": "Yes"}}]}',
        '{"choices": [{"message": {"content": "Yes", "content": "No"}}]}',
        '{"choices": [{"message": {"content": "Yes"}, "logprobs": {"Yes": -0.1, "Yes": -5}}]}',
    ],
)
def test_a_reply_that_tells_a_field_twice_is_none(reply):
    with ScriptedServer(lambda body: Response(reply)) as server:
        model = backend(server, max_retries=3)
        [(_, result)] = model.generate([GenerateRequest("r", "mining", messages("Hi."), Sampling())])
        model.close()
        assert len(server.log) == 1, "it would be written so again"
    assert "tells a field twice" in result.message
