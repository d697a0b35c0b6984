"""Which proxy of the environment a server is asked through.

The HTTP client is told of it request by request, and looks into the environment for nothing: it would also take user
names and passwords from ~/.netrc, and send them to servers that they were not meant for.
"""

import ipaddress
import os
from urllib.parse import urlsplit
from urllib.request import getproxies


def proxy_for(url: str) -> str | None:
    """The address of the proxy; None where the server is asked directly. `no_proxy` may name hosts, domains, ports,
    addresses and networks (10.0.0.0/8)."""
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or _is_direct(parts.hostname or "", parts.port):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def shown_proxy(url: str) -> str:
    """Of which proxy an error tells, without its user name and password; empty where there is none."""
    proxy = proxy_for(url)
    return f" (through the proxy {urlsplit(proxy).netloc.rpartition('@')[2]})" if proxy else ""


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
