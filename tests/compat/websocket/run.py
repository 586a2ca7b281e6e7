"""WebSocket through coregate with real clients and servers: run.py COREGATE [--direct].

Python's websockets and Node's ws, each as client and as server, all four pairs; handshakes by hand;
1,000 tunnels at once, and what coregate's memory grew by for each. `--direct` leaves the gateway
out, which tests the tests. COMPAT_NODE names the folder whose node_modules has ws. Every process
that it starts ends with it, by its id; every port is a free one.
"""

import asyncio
import json
import queue
import sys
from pathlib import Path

from websockets.asyncio.client import connect

import raw

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from common import Process, before, client, run, verdict  # noqa: E402

SERVERS = {"websockets": [sys.executable, HERE / "server.py"], "ws": ["node", HERE / "server.mjs"]}
CLIENTS = {"websockets": [sys.executable, HERE / "client.py"], "ws": ["node", HERE / "client.mjs"]}
CHECKS = 9
CLIENT_SECONDS = 40
ALL_SECONDS = 110
TUNNELS = 1000
WARM_UP = 100
ECHOES = 5
TUNNEL_KIB_MAX = 4.0


class Server(Process):
    def __init__(self, command):
        super().__init__(command, "stdout")

    def begin(self):
        self.port = json.loads(self.line())["port"]

    def closes(self, count):
        """How so many connections with an id ended there: {id: [(code, reason)]}."""
        seen = {}
        while count > 0:
            try:
                what = json.loads(self.line())
            except queue.Empty:
                break
            if "closed" in what:
                seen.setdefault(what["closed"], []).append((what["code"], what["reason"]))
                count -= 1
        return seen


def pair(server_name, program):
    """Both clients against one server, then what is done by hand."""
    expected = {
        "by-server": [(4001, "server says so")] * 2,
        "by-client": [(4002, "client says so")] * 2,
        "broken-off": [(1006, "")],
    }
    with Server(SERVERS[server_name]) as server, before(server, program) as gateway:
        for client_name, command in CLIENTS.items():
            name = f"{client_name} client, {server_name} server"
            client(name, command, gateway.port, CHECKS, CLIENT_SECONDS)
        for check in raw.CHECKS:
            name = f"by hand, {server_name} server: {check.__name__}"
            try:
                check(gateway.port)
                verdict(True, name)
            except (AssertionError, OSError, ValueError) as error:
                verdict(False, f"{name}: {error!r}"[:300])
        seen = server.closes(sum(len(ends) for ends in expected.values()))
    for name, ends in expected.items():
        got = seen.get(name, [])
        verdict(got == ends, f"{server_name} server saw the close {name}: {got}")


async def tunnels(program):
    """Memory of idle tunnels: with 500 and 1,000 open, beside before."""
    with Server(SERVERS["websockets"]) as server, before(server, program) as gateway:
        url = f"ws://127.0.0.1:{gateway.port}/echo"
        room = asyncio.Semaphore(50)

        async def one():
            async with room:
                return await connect(
                    url, proxy=None, compression=None, ping_interval=None, open_timeout=30
                )

        async def echo(socket, text):
            await socket.send(text)
            got = await socket.recv()
            assert got == text, f"{got!r}, expected {text!r}"

        async def opened(count):
            return await asyncio.gather(*(one() for _ in range(count)))

        async def all_echo(sockets):
            for turn in range(ECHOES):
                await asyncio.gather(*(echo(s, f"{turn} of {n}") for n, s in enumerate(sockets)))

        def resident():
            return gateway.resident_kib() if program else 0

        warm = await opened(WARM_UP)
        await all_echo(warm)
        await asyncio.gather(*(socket.close() for socket in warm))
        at_first = resident()
        sockets = await opened(TUNNELS // 2)
        await all_echo(sockets)
        half = resident()
        sockets += await opened(TUNNELS - TUNNELS // 2)
        await all_echo(sockets)
        # Every echo has come back: from here on all are idle.
        whole = resident()
        verdict(True, f"{len(sockets)} tunnels at once, {ECHOES} echoes on each")
        await asyncio.gather(*(socket.close(4003) for socket in sockets))
        codes = {socket.close_code for socket in sockets}
        verdict(codes == {4003}, f"{len(sockets)} tunnels closed: codes {codes}")
        if not program:
            return
        each = (whole - at_first) / len(sockets)
        slope = (whole - half) / (len(sockets) - len(sockets) // 2)
        verdict(
            each <= TUNNEL_KIB_MAX,
            f"resident memory {at_first} -> {half} -> {whole} KiB: {each:.2f} KiB an idle tunnel "
            f"(bar {TUNNEL_KIB_MAX:.0f}), {slope:.2f} KiB from 500 to 1,000",
        )


def tests(program):
    for name in SERVERS:
        pair(name, program)
    asyncio.run(asyncio.wait_for(tunnels(program), CLIENT_SECONDS))


run(__doc__, "websocket", ALL_SECONDS, tests)
