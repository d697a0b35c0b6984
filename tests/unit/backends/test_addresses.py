"""Where requests go: beside or under /v1, with a query behind the path, through a proxy or past it; never with what
~/.netrc holds."""

import pytest

from autorule.backends.base import GenerateRequest
from autorule.backends.openai_compatible import OpenAICompatibleBackend
from autorule.backends.proxies import proxy_for, shown_proxy
from autorule.backends.servers import Server
from autorule.config.models import ModelConfig
from autorule.config.stages import Sampling
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
    assert proxy_for(url) == (None if direct else "http://me:secret@proxy:3128")
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
