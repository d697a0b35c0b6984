"""A server on loopback with vLLM's /classify: the score is minus the length of the last message."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web


@contextmanager
def classify_server() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """(its address, the requests that it got)."""
    log: list[dict[str, Any]] = []

    async def classify(request: web.Request) -> web.Response:
        body = await request.json()
        log.append(body)
        text = body["messages"][-1]["content"]
        if "FAIL" in text:
            return web.json_response({"error": {"message": "no model of this name"}}, status=404)
        data = [{"index": 0, "label": None, "probs": [-float(len(text))], "num_classes": 1}]
        return web.json_response({"data": data, "model": body["model"]})

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> tuple[web.AppRunner, int]:
        app = web.Application()
        app.router.add_post("/classify", classify)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return runner, runner.addresses[0][1]

    runner, port = asyncio.run_coroutine_threadsafe(start(), loop).result()
    try:
        yield f"http://127.0.0.1:{port}", log
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
