"""The floor of the stack: the least that an answer over TLS costs with uvicorn.

A bare ASGI application reads the body and answers a constant, under the settings that
the webhook gives uvicorn.

    python -m tests.bench.floor --cert tls.crt --key tls.key --answer answer.json
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import socket
import ssl
import sys
from pathlib import Path

import uvicorn
import uvloop

from webhook.server.http import LIMITS
from webhook.server.listener import BACKLOG, SETTINGS


def application(answer):
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(answer)),
    ]

    async def answered(scope, receive, send):
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    return answered


async def serve(certificate, key, answer):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listening = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
    config = uvicorn.Config(
        application(answer),
        http="httptools",
        timeout_keep_alive=LIMITS.idle,
        ssl_context_factory=lambda *_: context,
        **SETTINGS,
    )
    port = listening.getsockname()[1]
    gc.collect()
    gc.freeze()
    print(f"ready: reviews on https://127.0.0.1:{port}", file=sys.stderr, flush=True)
    await uvicorn.Server(config).serve([listening])


def main():
    parser = argparse.ArgumentParser()
    for option in ("--cert", "--key", "--answer"):
        parser.add_argument(option, type=Path, required=True)
    given = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(given.cert, given.key, given.answer.read_bytes()))


if __name__ == "__main__":
    main()
