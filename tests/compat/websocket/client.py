"""The client's side of the tests, made with Python's websockets: client.py PORT.

Prints {"check": NAME, "ok": BOOL, "detail": TEXT} a line; the checks are the same, by the same
names, as client.mjs's.
"""

import asyncio
import json
import os
import random
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

MESSAGES = 1000
BIG = 16 * 1024 * 1024
PORT = int(sys.argv[1])
WAIT = 30


def open_(path, **options):
    options = {"compression": None, "max_size": 2 * BIG, "ping_interval": None, **options}
    return connect(f"ws://127.0.0.1:{PORT}{path}", proxy=None, **options)


def same(got, expected):
    assert type(got) is type(expected), f"{type(got)}, expected {type(expected)}"
    assert got == expected, f"{len(got)} units that differ from the {len(expected)} sent"


def messages():
    """Of all sizes about the borders of the length's forms, text and bytes."""
    seed = random.Random(1)
    borders = [0, 1, 125, 126, 127, 65535, 65536, 65537]
    for number in range(MESSAGES):
        size = borders[number] if number < len(borders) else seed.randrange(0, 5000)
        yield "ä" * (size // 2) if number % 2 else seed.randbytes(size)


async def echo():
    async with open_("/echo") as socket:
        async def send():
            for message in messages():
                await socket.send(message)

        sending = asyncio.create_task(send())
        for message in messages():
            same(await socket.recv(), message)
        await sending


async def fragments():
    async with open_("/fragments") as socket:
        for whole in ["x" * 5500, os.urandom(5500)]:
            await socket.send([whole[at : at + 700] for at in range(0, len(whole), 700)])
            pieces = [piece async for piece in socket.recv_streaming()]
            # The last one may be empty.
            assert len(pieces) in (6, 7), f"{len(pieces)} fragments, expected 6"
            same(type(whole)().join(pieces), whole)


async def ping():
    async with open_("/ping") as socket:
        await (await socket.ping(b"here"))
        await socket.send("ping me")
        same(await socket.recv(), "ponged")


async def big():
    async with open_("/big") as socket:
        await socket.send(str(BIG))
        same(await socket.recv(), bytes(BIG))
    async with open_("/echo") as socket:
        frame = os.urandom(BIG)
        await socket.send(frame)
        same(await socket.recv(), frame)


async def subprotocol():
    async with open_("/echo", subprotocols=["chat.v2", "chat.v1"]) as socket:
        assert socket.subprotocol == "chat.v1", socket.subprotocol
    async with open_("/echo") as socket:
        assert socket.subprotocol is None, socket.subprotocol


async def deflate():
    async with open_("/echo", compression="deflate") as socket:
        names = [extension.name for extension in socket.protocol.extensions]
        assert names == ["permessage-deflate"], names
        for size in [0, 10, 1000, 1_000_000]:
            message = "again and again " * (size // 16)
            await socket.send(message)
            same(await socket.recv(), message)


async def close_by_server():
    async with open_("/close?id=by-server") as socket:
        await socket.send("close, please")
        try:
            await socket.recv()
            raise AssertionError("a message instead of a close")
        except ConnectionClosed:
            pass
        assert (socket.close_code, socket.close_reason) == (4001, "server says so"), socket.close_code


async def close_by_client():
    async with open_("/echo?id=by-client") as socket:
        await socket.send("still here")
        await socket.recv()
        await socket.close(4002, "client says so")
        assert socket.close_code == 4002, socket.close_code


async def refused():
    try:
        async with open_("/refuse"):
            raise AssertionError("a connection instead of a 403")
    except InvalidStatus as error:
        assert error.response.status_code == 403, error.response.status_code
        assert error.response.body == b"not you\n", error.response.body


CHECKS = [
    echo, fragments, ping, big, subprotocol, deflate, close_by_server, close_by_client, refused,
]  # fmt: skip


async def main():
    for check in CHECKS:
        ok, detail = True, ""
        try:
            await asyncio.wait_for(check(), WAIT)
        except Exception as error:
            ok, detail = False, f"{type(error).__name__}: {error}"
        print(json.dumps({"check": check.__name__, "ok": ok, "detail": detail[:300]}), flush=True)


asyncio.run(main())
