"""An OpenAI-compatible server that costs next to nothing, in a process of its own.

A hand-written HTTP/1.1 keep-alive protocol: what is measured is the client. Every answer comes after a fixed latency
and is a function of the request alone. `GET /stats` says what the server saw.
"""

import argparse
import asyncio
import hashlib
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

THEMES = (
    "state the answer in its first sentence",
    "keep to the format that was asked for",
    "give a reason for every claim",
    "leave out what nobody asked about",
    "use words that the reader will understand",
    "admit what it does not know for certain",
    "show each step of a calculation",
    "reply in the language of the request",
    "name the sources of its figures",
    "warn of dangers before the instructions",
    "correct a false premise politely",
    "stay within the requested length",
)
CHAIN = (
    "The preferred text manages to {first}, which the other one does not do anywhere, and that matters for a request "
    "of this kind. It also takes care to {second}. The other text has its merits, being a little livelier, but a "
    "careful reader would miss what was asked for. Case {number}: weighing all of it, the first difference decided. "
)


def answer_for(shown: str) -> tuple[str, str | None]:
    """(content, reasoning) for what the model is shown: a chain that names two themes, or the rules of a chain."""
    if shown.startswith("Below is somebody"):
        rules = [f"The response should {theme}." for theme in THEMES if theme in shown]
        return json.dumps({"rules": rules}), None
    number = int.from_bytes(hashlib.blake2b(shown.encode(), digest_size=6).digest())
    first, second = number % len(THEMES), number // len(THEMES) % len(THEMES)
    chain = CHAIN.format(first=THEMES[first], second=THEMES[second], number=number)
    return f"It wins, in case {number}.", chain * 2


class Seen:
    """What all connections of the server saw. Times are those of time.monotonic, one clock for the machine."""

    def __init__(self, latency_s: float) -> None:
        self.latency_s = latency_s
        self.calls = self.in_flight = self.most_in_flight = 0
        self.first_call_at: float | None = None
        self.last_answer_at: float | None = None

    def report(self) -> bytes:
        return json.dumps({**vars(self), "cpu_s": time.process_time()}).encode()


class ChatProtocol(asyncio.Protocol):
    """One keep-alive connection. Requests come with Content-Length, as aiohttp sends them."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._received = bytearray()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end_of_head := self._received.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._received[:end_of_head])
            end = end_of_head + 4 + _content_length(head)
            if len(self._received) < end:
                return
            body = bytes(self._received[end_of_head + 4 : end])
            del self._received[:end]
            self._request(head, body)

    def _request(self, head: bytes, body: bytes) -> None:
        path = head.split(b" ", 2)[1]
        if path.endswith(b"/models"):
            self._send(b'{"data": [{"id": "m"}]}')
        elif path.endswith(b"/stats"):
            self._send(self._seen.report())
        else:
            self._begin(body)

    def _begin(self, body: bytes) -> None:
        seen = self._seen
        seen.calls += 1
        seen.in_flight += 1
        seen.most_in_flight = max(seen.most_in_flight, seen.in_flight)
        arrived = time.monotonic()
        seen.first_call_at = seen.first_call_at or arrived
        text, reasoning = answer_for(json.loads(body)["messages"][-1]["content"])
        message = {"role": "assistant", "content": text, "reasoning_content": reasoning}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        usage = {"prompt_tokens": len(body) // 4, "completion_tokens": (len(text) + len(reasoning or "")) // 4}
        reply = json.dumps({"choices": [choice], "usage": usage}).encode()
        if seen.latency_s:
            asyncio.get_running_loop().call_at(arrived + seen.latency_s, self._finish, reply)
        else:
            self._finish(reply)

    def _finish(self, reply: bytes) -> None:
        self._seen.in_flight -= 1
        self._seen.last_answer_at = time.monotonic()
        self._send(reply)

    def _send(self, reply: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(reply)
        if not self._transport.is_closing():
            self._transport.write(head + reply)


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


@contextmanager
def loopback_server(latency_s: float) -> Iterator[str]:
    """A server in a process of its own while the block runs; its base URL."""
    command = [sys.executable, __file__, "--latency", str(latency_s)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    finally:
        process.terminate()
        process.wait()


def stats(base_url: str) -> dict[str, Any]:
    """What the server saw so far."""
    with urllib.request.urlopen(f"{base_url}/stats") as response:
        return dict(json.load(response))


async def serve(latency_s: float) -> None:
    seen = Seen(latency_s)
    server = await asyncio.get_running_loop().create_server(lambda: ChatProtocol(seen), "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.2, help="seconds from a request to its answer")
    asyncio.run(serve(parser.parse_args().latency))
