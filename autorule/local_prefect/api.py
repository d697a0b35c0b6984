"""Prefect's API on this machine: asked directly, over no proxy, and again while the server is busy."""

import json
import urllib.error
import urllib.request
from typing import Any

from tenacity import retry, retry_if_exception, stop_after_attempt, wait_exponential

HOST = "127.0.0.1"
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


MAX_REPLY_BYTES = 64 * 2**20
TIMEOUT_S = 70.0
"""Prefect's own patience with its database is 60 s."""


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, urllib.error.HTTPError) and error.code == 503


@retry(retry=retry_if_exception(_is_busy), stop=stop_after_attempt(8), wait=wait_exponential(0.2, max=5), reraise=True)
def call_api(port: int, path: str, body: dict[str, Any] | None = None, method: str | None = None) -> Any:
    """The JSON that the server answers; asked again while it is busy. Raises OSError when it is away, refuses, or
    answers no JSON."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"http://{HOST}:{port}/api/{path}", data=data, headers={"Content-Type": "application/json"}, method=method
    )
    with _direct.open(request, timeout=TIMEOUT_S) as reply:
        text = reply.read(MAX_REPLY_BYTES)
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError) as error:
        raise OSError(f"what is at port {port} answers no JSON: is it Prefect?") from error


def is_there(port: int, path: str) -> bool:
    """Whether the server knows what the path names."""
    try:
        call_api(port, path)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return False
        raise
    return True
