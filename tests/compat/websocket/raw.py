"""What no library's client does: WebSocket handshakes by hand, over a plain socket."""

import base64
import os
import socket
import struct

WAIT = 10


def handshake(path):
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def frame(opcode, payload):
    """A masked frame of less than 126 bytes, RFC 6455 5.2."""
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + masked


class Reader:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), WAIT)
        self.kept = b""

    def send(self, data):
        self.socket.sendall(data)

    def more(self):
        data = self.socket.recv(65536)
        self.kept += data
        return bool(data)

    def until(self, end):
        while end not in self.kept:
            assert self.more(), f"ended after {self.kept!r}"
        head, _, self.kept = self.kept.partition(end)
        return head.decode()

    def exactly(self, count):
        while len(self.kept) < count:
            assert self.more(), f"ended after {self.kept!r}"
        data, self.kept = self.kept[:count], self.kept[count:]
        return data

    def frame(self):
        first, length = self.exactly(2)
        assert length < 126, length
        return first & 0x0F, self.exactly(length)

    def answer(self):
        """Status, fields and body of an answer that has a content-length."""
        line, *lines = self.until(b"\r\n\r\n").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
        return int(line.split()[1]), fields, self.exactly(int(fields.get("content-length", 0)))


def data_behind_the_handshake(port):
    """Frames in the same segment as the handshake: nothing of them may be lost."""
    reader = Reader(port)
    reader.send(handshake("/echo") + frame(1, b"first") + frame(2, b"second"))
    head = reader.until(b"\r\n\r\n")
    assert head.startswith("HTTP/1.1 101 "), head
    assert reader.frame() == (1, b"first") and reader.frame() == (2, b"second")
    reader.send(frame(8, struct.pack("!H", 1000)))
    assert reader.frame() == (8, struct.pack("!H", 1000))
    assert not reader.more(), "bytes behind the close"


def refused(port):
    """After a 403 the connection is closed cleanly, or serves the next request."""
    reader = Reader(port)
    reader.send(handshake("/refuse"))
    status, fields, body = reader.answer()
    assert (status, body) == (403, b"not you\n"), (status, body)
    if fields.get("connection", "").lower() == "close":
        assert not reader.more(), "bytes behind an answer that closes"
        return
    reader.send(handshake("/echo") + frame(1, b"again"))
    head = reader.until(b"\r\n\r\n")
    assert head.startswith("HTTP/1.1 101 "), head
    assert reader.frame() == (1, b"again")


def server_gone(port):
    """A connection that the client breaks off ends the other side too: the server says 1006."""
    reader = Reader(port)
    reader.send(handshake("/echo?id=broken-off") + frame(1, b"here"))
    reader.until(b"\r\n\r\n")
    assert reader.frame() == (1, b"here")
    reader.socket.close()


CHECKS = [data_behind_the_handshake, refused, server_gone]
