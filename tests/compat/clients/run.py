"""HTTP/1.1 clients of other people against coregate: run.py COREGATE [--direct].

curl, Python's httpx and aiohttp, Node's undici: keep-alive, uploads in chunks, trailers,
Expect: 100-continue, HEAD, server-sent events that arrive one by one. `--direct` leaves the gateway
out, which tests the tests. COMPAT_NODE names the folder whose node_modules has undici.
"""

import asyncio
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import aiohttp
import httpx

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from common import Process, before, client, run, verdict  # noqa: E402

NODE_CHECKS = 7
SECONDS = 10
ALL_SECONDS = 110
TURNS = 20
BODY = os.urandom(1_000_000)
SUM = hashlib.sha256(BODY).hexdigest()
PIECES = [BODY[:10], BODY[10:70_000], BODY[70_000:]]
EVENTS = [f"data: event {number}" for number in range(3)]


class Origin(Process):
    def __init__(self):
        super().__init__([sys.executable, HERE / "origin.py"], "stdout")

    def begin(self):
        self.port = json.loads(self.line())["port"]


def same(got, expected):
    assert got == expected, f"{got!r}, expected {expected!r}"


def uploaded(said, coding):
    same((said["bytes"], said["sha256"], said["coding"]), (len(BODY), SUM, coding))


class Curl:
    """curl, a process a check."""

    def __init__(self, url):
        self.url = url

    def curl(self, *arguments, **options):
        # No configuration or proxy of whoever runs this.
        command = ["curl", "-q", "--noproxy", "*", "--silent", "--show-error", *arguments]
        return subprocess.run(command, capture_output=True, timeout=SECONDS, check=True, **options)

    def keep_alive(self):
        urls = [f"{self.url}/hello"] * TURNS
        out = self.curl("--write-out", "%{num_connects} ", *urls).stdout.decode()
        same(out, "hello\n1 " + "hello\n0 " * (TURNS - 1))

    def chunked_upload(self):
        arguments = ["-H", "Transfer-Encoding: chunked", "-H", "Expect:", "--data-binary", "@-"]
        out = self.curl(*arguments, f"{self.url}/upload", input=BODY).stdout
        uploaded(json.loads(out), "chunked")

    def expect_continue(self):
        arguments = ["-v", "-H", "Expect: 100-continue", "--data-binary", "@-", "--expect100-timeout", "60"]
        done = self.curl(*arguments, f"{self.url}/upload", input=BODY)
        uploaded(json.loads(done.stdout), "length")
        assert b"< HTTP/1.1 100 Continue" in done.stderr, "no 100"

    def answer_trailers(self):
        out = self.curl("--include", f"{self.url}/trailers").stdout.decode()
        assert "hello" in out, out
        return "trailers passed on" if "x-checksum: abc" in out.lower() else "trailers dropped"

    def head(self):
        out = self.curl("--head", f"{self.url}/hello", "--next", "--silent", f"{self.url}/hello").stdout
        fields, _, body = out.decode().partition("\r\n\r\n")
        assert "content-length: 6" in fields.lower(), fields
        same(body, "hello\n")

    def events(self):
        command = ["curl", "-q", "--noproxy", "*", "--silent", "--no-buffer", f"{self.url}/events"]
        got = []
        with Process([*command, "--max-time", str(SECONDS)], "stdout") as events:
            while len(got) < len(EVENTS):
                line = events.line().rstrip("\n")
                if line:
                    got.append(line)
                    # The next event is sent only now: one that is kept back anywhere ends the test.
                    self.curl(f"{self.url}/next")
        same(got, EVENTS)


class Httpx:
    """httpx, one connection."""

    def __init__(self, url):
        limits = httpx.Limits(max_connections=1)
        self.client = httpx.Client(base_url=url, limits=limits, timeout=SECONDS, trust_env=False)
        # Events and what lets them go need a connection each.
        self.other = httpx.Client(base_url=url, timeout=SECONDS, trust_env=False)

    def keep_alive(self):
        def once():
            with self.client.stream("GET", "/hello") as answer:
                same(answer.read(), b"hello\n")
                return answer.extensions["network_stream"].get_extra_info("client_addr")

        same(len({once() for _ in range(TURNS)}), 1)

    def chunked_upload(self):
        uploaded(self.client.post("/upload", content=iter(PIECES)).json(), "chunked")

    def answer_trailers(self):
        same(self.client.get("/trailers").text, "hello")

    def head(self):
        answer = self.client.head("/hello")
        same((answer.headers["content-length"], answer.content), ("6", b""))
        same(self.client.get("/hello").text, "hello\n")

    def events(self):
        got = []
        with self.client.stream("GET", "/events") as answer:
            same(answer.headers["content-type"], "text/event-stream")
            for line in answer.iter_lines():
                if line:
                    got.append(line)
                    self.other.get("/next")
        same(got, EVENTS)


class Aiohttp:
    """aiohttp, a session a check."""

    def __init__(self, url):
        self.url = url

    def _run(self, check):
        async def inner():
            timeout = aiohttp.ClientTimeout(total=SECONDS)
            connector = aiohttp.TCPConnector(limit=2)
            async with aiohttp.ClientSession(self.url, timeout=timeout, connector=connector) as session:
                return await check(session)

        return asyncio.run(inner())

    def keep_alive(self):
        async def check(session):
            ports = set()
            for _ in range(TURNS):
                async with session.get("/hello") as answer:
                    if answer.connection:
                        ports.add(answer.connection.transport.get_extra_info("sockname"))
                    same(await answer.text(), "hello\n")
            # An answer that came whole with its head has given its connection back already.
            assert len(ports) <= 1, ports
            same(len(session.connector._conns), 1)

        self._run(check)

    def chunked_upload(self):
        async def pieces():
            for piece in PIECES:
                yield piece

        async def check(session):
            async with session.post("/upload", data=pieces()) as answer:
                uploaded(json.loads(await answer.text()), "chunked")

        self._run(check)

    def expect_continue(self):
        async def check(session):
            async with session.post("/upload", data=BODY, expect100=True) as answer:
                uploaded(json.loads(await answer.text()), "length")

        self._run(check)

    def answer_trailers(self):
        async def check(session):
            async with session.get("/trailers") as answer:
                same(await answer.text(), "hello")

        self._run(check)

    def head(self):
        async def check(session):
            async with session.head("/hello") as answer:
                same((answer.headers["content-length"], await answer.read()), ("6", b""))
            async with session.get("/hello") as answer:
                same(await answer.text(), "hello\n")

        self._run(check)

    def events(self):
        async def check(session):
            got = []
            async with session.get("/events") as answer:
                async for line in answer.content:
                    if line.strip():
                        got.append(line.decode().strip())
                        async with session.get("/next") as let_go:
                            same(let_go.status, 200)
            same(got, EVENTS)

        self._run(check)


def tests(program):
    with Origin() as origin, before(origin, program) as gateway:
        url = f"http://127.0.0.1:{gateway.port}"
        for kind in [Curl, Httpx, Aiohttp]:
            asking = kind(url)
            for name in [name for name in vars(kind) if not name.startswith("_") and name != "curl"]:
                what = f"{kind.__name__.lower()}: {name}"
                try:
                    said = getattr(asking, name)()
                    verdict(True, f"{what}: {said}" if said else what)
                except Exception as error:
                    verdict(False, f"{what}: {type(error).__name__}: {error}"[:300])
        client("undici", ["node", HERE / "client.mjs"], gateway.port, NODE_CHECKS, 4 * SECONDS)


run(__doc__, "clients", ALL_SECONDS, tests)
