"""Where requests go: beside or under /v1, with a query behind the path, through a proxy or past it; never with what
~/.netrc holds."""

import socketserver
import threading
from contextlib import contextmanager

import pytest

from autorule.backends import keys
from autorule.backends.base import GenerateRequest
from autorule.backends.openai_compatible import OpenAICompatibleBackend
from autorule.backends.proxies import proxy_for, shown_proxy
from autorule.backends.servers import Server
from autorule.config.models import ModelConfig
from autorule.config.stages import Sampling, server_address
from autorule.errors import ConfigError
from autorule.records import ModelOutput
from tests.conftest import messages
from tests.integration.scripted_server import ScriptedServer


@pytest.mark.parametrize(
    ("base_url", "path", "address"),
    [
        ("http://h/v1", "chat/completions", "http://h/v1/chat/completions"),
        ("http://h/v1", "/metrics", "http://h/metrics"),
        (
            "https://h/openai/deployments/m?api-version=2",
            "chat/completions",
            "https://h/openai/deployments/m/chat/completions?api-version=2",
        ),
        ("https://h/v1?k=1", "/metrics", "https://h/metrics?k=1"),
    ],
)
def test_a_query_stays_behind_the_path(base_url, path, address):
    assert Server(base_url).at(path) == address


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        ("", "http://host/v1", False),
        ("*", "http://host/v1", True),
        ("host", "http://host/v1", True),
        ("other", "http://host/v1", False),
        (".example.org", "http://a.example.org/v1", True),
        ("example.org", "http://a.example.org", True),
        ("ample.org", "http://example.org", False),
        ("10.0.0.0/8", "http://10.1.2.3:8000/v1", True),
        ("10.0.0.0/8", "http://11.1.2.3/v1", False),
        ("10.0.0.0/8", "http://ten/v1", False),
        ("127.0.0.1", "http://127.0.0.1:9/v1", True),
        ("host:8000", "http://host:8000/v1", True),
        ("host:8000", "http://host:9/v1", False),
        ("::1", "http://[::1]:8000/v1", True),
        ("fd00::/8", "http://[fd00::5]/v1", True),
        (" a , host ", "http://HOST/v1", True),
    ],
)
def test_no_proxy_names_hosts_domains_ports_and_networks(monkeypatch, no_proxy, url, direct):
    monkeypatch.setenv("http_proxy", "me:secret@proxy:3128")
    monkeypatch.setenv("no_proxy", no_proxy)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert proxy_for(url) == (None if direct else ("http://proxy:3128", {"Proxy-Authorization": "Basic bWU6c2VjcmV0"}))
    assert shown_proxy(url) == ("" if direct else " (through the proxy proxy:3128)")


def test_what_netrc_holds_is_sent_nowhere(tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\ndefault login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with ScriptedServer() as server:
        model = OpenAICompatibleBackend(ModelConfig(backend="openai_compatible", model="m", base_url=server.base_url))
        [(_, result)] = model.generate([GenerateRequest("r", "mining", messages("Hi."), Sampling())])
        model.close()
        assert isinstance(result, ModelOutput)
        assert "authorization" not in server.headers[0]


def test_an_error_behind_a_proxy_names_it(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    settings = {"max_retries": 0, "server_wait_s": 0, "base_url": "http://nowhere.invalid/v1"}
    model = OpenAICompatibleBackend(ModelConfig(backend="openai_compatible", model="m", **settings))
    [(_, result)] = model.generate([GenerateRequest("r", "mining", messages("Hi."), Sampling())])
    model.close()
    assert "through the proxy 127.0.0.1:9" in result.message


SERVER_KEY = "sk-0123456789abcdef"
PASSWORD = "pass/word@12"
REFUSED = b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@contextmanager
def raw_server(reply):
    """(host:port, requests so far) of a server that answers every request with the same bytes."""
    seen = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            lines = []
            while (line := self.rfile.readline()) not in (b"\r\n", b""):
                lines.append(line.decode().strip())
            seen.append(lines)
            self.wfile.write(reply)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}", seen
        server.shutdown()
        thread.join()


@pytest.fixture
def proxied(monkeypatch):
    monkeypatch.setattr(keys, "_known", set())
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("SERVER_KEY", SERVER_KEY)
    return monkeypatch.setenv


def asked(base_url):
    """What one request says of its failure, and what is told of the server beforehand."""
    settings = {"max_retries": 0, "server_wait_s": 0, "base_url": base_url, "api_key_env": "SERVER_KEY"}
    model = OpenAICompatibleBackend(ModelConfig(backend="openai_compatible", model="m", **settings))
    try:
        [(_, result)] = model.generate([GenerateRequest("r", "mining", messages("Hi."), Sampling())])
        return result.message
    finally:
        model.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_password_of_a_proxy_is_sent_to_it_and_shown_nowhere(proxied, scheme):
    with raw_server(REFUSED) as (proxy, seen):
        proxied(f"{scheme}_proxy", f"http://me:pass%2Fword%4012@{proxy}")
        message = asked(f"{scheme}://nowhere.invalid/v1")
    assert "Proxy-Authorization: Basic bWU6cGFzcy93b3JkQDEy" in seen[0]
    assert "407" in message and not any(part in message for part in (PASSWORD, "pass%2F", "bWU6"))
    assert keys.quoted(f"{PASSWORD} bWU6cGFzcy93b3JkQDEy") == "[key] [key]"


@pytest.mark.parametrize("user", ["", "me:pw@"])
def test_the_key_of_a_server_is_not_sent_to_the_proxy_before_it(proxied, user):
    """A proxy is asked for a tunnel in the clear."""
    with raw_server(REFUSED) as (proxy, seen):
        proxied("https_proxy", f"http://{user}{proxy}")
        asked("https://nowhere.invalid/v1")
    assert seen and not any(SERVER_KEY in line for line in seen[0])


def test_a_server_behind_a_proxy_gets_its_key(proxied):
    with raw_server(REFUSED) as (proxy, seen):
        proxied("http_proxy", f"http://{proxy}")
        asked("http://nowhere.invalid/v1")
    assert f"Authorization: Bearer {SERVER_KEY}" in seen[0]
    assert not any(line.startswith("Proxy-Authorization") for line in seen[0])


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("http://[::1", "is no address"),
        ("http://h:99999", "is no address"),
        ("http://h:port", "is no address"),
        ("http://", "is no address"),
        ("me:SECRETPW", "is no address"),
        ("http://me:SECRET/PW@h:1", "is no address"),
        ("http://me:12/SECRETPW@h:1", "is no address"),
        ("http://m%3Ae:SECRETPW@h:1", "is no address"),
        ("http://h h:1", "is no address"),
        ("socks5://127.0.0.1:1", "of the kind socks5, "),
        ("socks5h://me:SECRETPW@127.0.0.1:1", "of the kind socks5h, "),
        ("SOCKS4://h:1", "of the kind socks4, "),
        ("ftp://h", "of the kind ftp, "),
        ("me:SECRETPW@h://x", "of the kind unknown, "),
    ],
)
@pytest.mark.parametrize("variable", ["http_proxy", "ALL_PROXY"])
def test_a_proxy_that_can_not_be_used_is_named_by_its_variable(proxied, variable, value, said):
    proxied(variable, value)
    with pytest.raises(ConfigError, match=f"^environment variable {variable} ") as error:
        asked("http://nowhere.invalid/v1")
    assert said in str(error.value) and "SECRET" not in str(error.value) and "\n" not in str(error.value)
    proxied("no_proxy", "nowhere.invalid")
    assert proxy_for("http://nowhere.invalid/v1") is None


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nX-A: " + b"b" * 85 + SERVER_KEY.encode() + b"b" * 20_000 + b"\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nX-A" + SERVER_KEY.encode() + b"\r\n\r\n{}",
        SERVER_KEY.encode() + b" 200 OK\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + SERVER_KEY[:12].encode() + b"\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + SERVER_KEY.encode(),
        b"HTTP/1.1 400 Bad\r\n\r\nnot your key: " + SERVER_KEY[:12].encode(),
    ],
)
def test_a_reply_that_is_no_http_is_named_without_a_part_of_the_key(proxied, reply):
    with raw_server(reply) as (host, _):
        message = asked(f"http://{host}/v1")
    assert message and SERVER_KEY[:8] not in message


@pytest.mark.parametrize(
    "query",
    [
        "api-key=SECRETQ", "api_key=SECRETQ", "apikey=SECRETQ", "apiKey=SECRETQ", "key=SECRETQ", "KEY=SECRETQ",
        "api-version=2&subscription-key=SECRETQ", "access_token=SECRETQ", "token=SECRETQ", "sig=SECRETQ",
        "X-Amz-Signature=SECRETQ", "client_secret=SECRETQ", "code=SECRETQ", "password=SECRETQ", "auth=SECRETQ",
        "api%2Dkey=SECRETQ", "a=1;key=SECRETQ", "?key=SECRETQ", "x#key=SECRETQ",
    ],
)  # fmt: skip
def test_a_key_in_a_query_is_refused_with_its_place(query):
    with pytest.raises(ValueError, match="--api-key-env") as error:
        server_address(f"http://h/v1?{query}")
    assert "SECRETQ" not in str(error.value)


@pytest.mark.parametrize("query", ["api-version=2024-10-21", "design=1", "encoding=x", "model=monkeys", "author=x", ""])
def test_other_fields_of_a_query_stay_and_are_not_shown(query):
    address = server_address(f"http://h/v1?{query}")
    assert address == f"http://h/v1?{query}"
    assert Server(address).base_url == "http://h/v1"


@pytest.mark.parametrize(
    "url",
    [
        "http://me:SECRETPW@h/v1", "http://:SECRETPW@h", "ftp://me:SECRETPW@h", "me:SECRETPW@h/v1",
        "http:/me:SECRETPW@h/v1", "http://me:SECRETPW@h:99999/v1", "http://me:SECRET[PW@h/v1",
        "http://[::1", "http://h:99999", "http://h:port", "http:///v1", "h/v1", "",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_a_password(url):
    with pytest.raises(ValueError, match="base_url") as error:
        server_address(url)
    assert "SECRET" not in str(error.value)
