"""A WebSocket server for the compatibility tests, made with Python's websockets.

It listens on a free port of loopback and prints one JSON object a line: first {"port": N}, then
{"closed": ID, "code": C, "reason": R} for each connection whose path says ?id=ID. Its paths:

/echo       every message back, text as text and bytes as bytes
/fragments  every message back in fragments of 1,000 bytes or characters
/close      after the first message, closes with 4001 and "server says so"
/ping       pings after each message, and says "ponged" once the pong is there
/big        after the first message, N: a message of N bytes
/refuse     403 with a body

The subprotocol chat.v1 is taken where it is offered, and permessage-deflate. It ends with its
standard input.
"""

import asyncio
import http
import json
import sys
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

MESSAGE_BYTES_MAX = 32 * 1024 * 1024


def say(**what):
    print(json.dumps(what), flush=True)


def refuse(connection, request):
    if urlsplit(request.path).path == "/refuse":
        return connection.respond(http.HTTPStatus.FORBIDDEN, "not you\n")
    return None


def choose(_connection, offered):
    return "chat.v1" if "chat.v1" in offered else None


async def handle(socket):
    url = urlsplit(socket.request.path)
    try:
        async for message in socket:
            match url.path:
                case "/fragments":
                    await socket.send([message[at : at + 1000] for at in range(0, len(message), 1000)])
                case "/close":
                    await socket.close(4001, "server says so")
                case "/ping":
                    await (await socket.ping(b"are you there"))
                    await socket.send("ponged")
                case "/big":
                    await socket.send(bytes(int(message)))
                case _:
                    await socket.send(message)
    except ConnectionClosed:
        pass
    finally:
        for name in parse_qs(url.query).get("id", []):
            await socket.wait_closed()
            say(closed=name, code=socket.close_code, reason=socket.close_reason)


async def main():
    options = {
        "process_request": refuse,
        "select_subprotocol": choose,
        "max_size": MESSAGE_BYTES_MAX,
        "ping_interval": None,
        "backlog": 2048,
    }
    async with serve(handle, "127.0.0.1", 0, **options) as server:
        say(port=server.sockets[0].getsockname()[1])
        # The parent's end of the pipe closes when it is done, or gone.
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(main())
