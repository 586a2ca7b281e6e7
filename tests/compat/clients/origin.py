"""What the clients ask for, behind coregate: a small HTTP/1.1 server on asyncio's streams alone.

It prints {"port": N} and ends with its standard input. Its paths:

/hello     "hello\n"
/upload    says what came, as JSON: bytes, sha256, coding, trailers, expect
/trailers  a chunked answer with a trailer, x-checksum: abc
/events    server-sent events, each only once /next has been asked for; three in all
/next      lets the next event go
"""

import asyncio
import hashlib
import json
import sys

HEAD_BYTES_MAX = 64 * 1024


class Origin:
    def __init__(self):
        self.next = asyncio.Queue()

    async def serve(self, reader, writer):
        try:
            while await self.exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def exchange(self, reader, writer):
        line, fields = await head(reader)
        if line is None:
            return False
        method, path, _ = line.split(" ")
        expects = "expect" in fields
        if expects:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body, trailers = await body_of(reader, fields)
        match path:
            case "/hello":
                answer(writer, b"hello\n", method)
            case "/upload":
                coding = "chunked" if "transfer-encoding" in fields else "length"
                said = {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
                said |= {"coding": coding, "trailers": trailers, "expect": expects}
                answer(writer, json.dumps(said).encode(), method)
            case "/trailers":
                writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-checksum\r\n\r\n")
                writer.write(b"5\r\nhello\r\n0\r\nx-checksum: abc\r\n\r\n")
            case "/events":
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
                for number in range(3):
                    event = f"data: event {number}\n\n".encode()
                    writer.write(b"%x\r\n%s\r\n" % (len(event), event))
                    await writer.drain()
                    await self.next.get()
                writer.write(b"0\r\n\r\n")
            case "/next":
                self.next.put_nowait(None)
                answer(writer, b"", method)
            case _:
                answer(writer, b"no such path\n", method, "404 Not Found")
        await writer.drain()
        return True


def answer(writer, body, method, status="200 OK"):
    writer.write(f"HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {len(body)}\r\n\r\n".encode())
    if method != "HEAD":
        writer.write(body)


async def head(reader):
    try:
        text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None, {}
    line, *lines = text.rstrip("\r\n").split("\r\n")
    return line, dict(field(each) for each in lines)


def field(line):
    name, _, value = line.partition(":")
    return name.lower(), value.strip()


async def body_of(reader, fields):
    if "transfer-encoding" not in fields:
        return await reader.readexactly(int(fields.get("content-length", 0))), {}
    body, trailers = b"", {}
    while size := int((await reader.readline()).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    while (line := await reader.readline()) != b"\r\n":
        trailers |= [field(line.decode("latin-1"))]
    return body, trailers


async def main():
    origin = Origin()
    server = await asyncio.start_server(origin.serve, "127.0.0.1", 0, limit=HEAD_BYTES_MAX)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    # Connections that still wait must not hold the end up.
    server.close()


asyncio.run(main())
