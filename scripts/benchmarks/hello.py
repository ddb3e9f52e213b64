"""The peer of requests: aiohttp's bare hello, as ``python -m jobledger.scripts.benchmarks.hello FD``.

FD is the listening socket. It writes a line when it serves.
"""

from __future__ import annotations

import asyncio
import socket
import sys

import uvloop
from aiohttp import web


async def hello(_request: web.Request) -> web.Response:
    """Say hello."""
    return web.Response(text="hello")


async def serve(listener: socket.socket) -> None:
    """Serve until this process is ended."""
    app = web.Application()
    app.router.add_route("*", "/", hello)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(socket.socket(fileno=int(sys.argv[1]))))
