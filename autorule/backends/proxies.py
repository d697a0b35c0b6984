"""Which proxy of the environment a server is asked through.

The HTTP client is told of it request by request, and looks into the environment for nothing: it would also take user
names and passwords from ~/.netrc, and send them to servers that they were not meant for.
"""

import base64
import ipaddress
import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies

from autorule.backends.keys import keep_secret
from autorule.errors import ConfigError


class Proxy(NamedTuple):
    address: str
    """Without user name and password: the HTTP client quotes it."""
    headers: dict[str, str]
    """That it alone is sent."""

    @property
    def host(self) -> str:
        return urlsplit(self.address).netloc


def proxy_for(url: str) -> Proxy | None:
    """The proxy; None where the server is asked directly. `no_proxy` may name hosts, domains, ports, addresses and
    networks (10.0.0.0/8). Raises ConfigError for an address that can't be one of an HTTP proxy."""
    parts = urlsplit(url)
    proxies = getproxies()
    name = parts.scheme if proxies.get(parts.scheme) else "all"
    address = proxies.get(name)
    if not address or _is_direct(parts.hostname or "", parts.port):
        return None
    return _read(address if "://" in address else f"http://{address}", f"{name}_proxy")


def request_fields(url: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """Of a request with the headers, as the HTTP client takes them. A proxy reads all headers where the address is
    http, and its own where it is https."""
    proxy = proxy_for(url)
    if proxy is None:
        return {"headers": headers}
    if urlsplit(url).scheme == "http":
        return {"headers": {**headers, **proxy.headers}, "proxy": proxy.address}
    return {"headers": headers, "proxy": proxy.address, "proxy_headers": proxy.headers}


def shown_proxy(url: str) -> str:
    """Of which proxy an error tells; empty where there is none."""
    proxy = proxy_for(url)
    return f" (through the proxy {proxy.host})" if proxy else ""


def _read(address: str, name: str) -> Proxy:
    """The address is not quoted in errors: it may hold a password anywhere."""
    variable = f"environment variable {name if os.environ.get(name) else name.upper()}"
    scheme = address.partition("://")[0].lower()
    if scheme not in ("http", "https"):
        raise ConfigError(
            f"{variable} names a proxy of the kind {scheme if scheme.isalnum() else 'unknown'}, and only http and "
            "https can be used: name such a proxy, or the server in no_proxy"
        )
    try:
        parts = urlsplit(address)
        behind = parts.path + parts.query + parts.fragment
        if not parts.hostname or parts.port == 0 or "@" in behind or re.search(r"\s", address):
            raise ValueError("no host, or a password with a slash")
        return Proxy(f"{scheme}://{parts.netloc.rpartition('@')[2]}", _headers(parts))
    except ValueError:
        raise ConfigError(
            f"{variable} is no address of a proxy: write http://host:port, and signs in a user name or password as "
            "URLs have them (%40 for @, %2F for /)"
        ) from None


def _headers(parts: SplitResult) -> dict[str, str]:
    """Raises ValueError for a user name that holds a colon."""
    if "@" not in parts.netloc:
        return {}
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if ":" in user:
        raise ValueError("a colon in the user name")
    coded = base64.b64encode(f"{user}:{password}".encode()).decode()
    for secret in (password, parts.password or "", f"{user}:{password}", coded):
        keep_secret(secret)
    return {"Proxy-Authorization": f"Basic {coded}"}


def _is_direct(host: str, port: int | None) -> bool:
    entries = [entry.strip().lower() for entry in _no_proxy().split(",") if entry.strip()]
    return any(entry == "*" or _covers(entry, host.lower(), port) for entry in entries)


def _no_proxy() -> str:
    return os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""


def _covers(entry: str, host: str, port: int | None) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        pass
    name, _, own_port = entry.rpartition(":") if entry.rpartition(":")[2].isdecimal() else (entry, "", "")
    if own_port and own_port != str(port):
        return False
    name = name.strip("[]").removeprefix("*").lstrip(".")
    return host == name or host.endswith(f".{name}")
