"""What stands before the reward server, without a network."""

import asyncio
import json

import pytest

from autorule.serving.guards import Guard


async def never(*_):
    raise AssertionError("this goes no further")


class Client:
    """Sends the beginning of a body and nothing after it."""

    def __init__(self):
        self.sent = []
        self.is_sending = asyncio.Event()
        self._begun = False

    async def receive(self):
        if self._begun:
            self.is_sending.set()
            await asyncio.Event().wait()
        self._begun = True
        return {"type": "http.request", "body": b"{", "more_body": True}

    async def send(self, message):
        self.sent.append(message)

    def answer(self):
        start, body = self.sent
        return start["status"], dict(start["headers"]), json.loads(body["body"])


def guard():
    return Guard(never, None, None, 1000, 60.0)


SCOPE = {"type": "http", "path": "/score", "headers": []}


def test_whoever_still_sends_is_told_that_the_server_ends():
    async def ended():
        own, clients = guard(), [Client() for _ in range(3)]
        work = [asyncio.create_task(own(SCOPE, client.receive, client.send)) for client in clients]
        await asyncio.gather(*(client.is_sending.wait() for client in clients))
        own.give_up()
        await asyncio.gather(*work)
        late = Client()
        await own(SCOPE, late.receive, late.send)
        return [client.answer() for client in (*clients, late)]

    for status, headers, answer in asyncio.run(ended()):
        assert (status, headers[b"retry-after"]) == (503, b"1")
        assert answer["detail"] == "the server is ending before this was scored; ask again"


def test_work_that_is_cancelled_otherwise_is_cancelled():
    async def cancelled():
        own, client = guard(), Client()
        work = asyncio.create_task(own(SCOPE, client.receive, client.send))
        await client.is_sending.wait()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        return client.sent

    assert asyncio.run(cancelled()) == []
