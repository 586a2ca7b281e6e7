"""Reads captured streams with h11 and says which are not what they should be.

A stream is a line `Q|R NAME METHODS LENGTHS BYTES`, that many bytes, and a line end: requests at an instance (Q) or
responses at a client (R), whole ones. METHODS and LENGTHS (of bodies) have one entry a message, with commas between, `-`
for none. h11 must find exactly these messages and nothing behind them.
"""

import sys

import h11

# h11's own bound on a head; ours are checked elsewhere.
HEAD_MAX = 1 << 20


def streams(path):
    """Each stream of a file: (kind, name, methods, lengths, bytes)."""
    with open(path, "rb") as file:
        while line := file.readline():
            kind, name, methods, lengths, size = line.decode("ascii").split()
            data = file.read(int(size))
            if len(data) != int(size) or file.read(1) != b"\n":
                raise SystemExit(f"{path}: cut off at {name}")
            yield (
                kind,
                name,
                [] if methods == "-" else methods.split(","),
                [] if lengths == "-" else [int(length) for length in lengths.split(",")],
                data,
            )


def one(connection, data):
    """The first message: its request line's method (None for a response), the body's length, and what follows it."""
    connection.receive_data(data)
    connection.receive_data(b"")
    method, length = None, 0
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            method = event.method.decode("ascii")
        elif isinstance(event, h11.Data):
            length += len(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return method, length, connection.trailing_data[0]
        elif not isinstance(event, (h11.Response, h11.InformationalResponse)):
            raise h11.RemoteProtocolError(f"{event} in a message")


def fault(kind, methods, lengths, data):
    """What h11 says against a stream; None if nothing."""
    for number, (method, length) in enumerate(zip(methods, lengths)):
        try:
            if kind == "Q":
                connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_MAX)
            else:
                connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_MAX)
                connection.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
                connection.send(h11.EndOfMessage())
            seen, found, data = one(connection, data)
        except h11.RemoteProtocolError as error:
            return f"message {number}: {error}"
        if kind == "Q" and seen != method:
            return f"message {number}: method {seen}, not {method}"
        if found != length:
            return f"message {number}: a body of {found} bytes, not {length}"
    return f"{len(data)} bytes behind the last message" if data else None


def main(path):
    count = messages = wrong = 0
    for kind, name, methods, lengths, data in streams(path):
        count += 1
        messages += len(methods)
        said = fault(kind, methods, lengths, data)
        if said:
            wrong += 1
            print(f"h11: {kind} {name}: {said}: {data[:400]!r}")
    print(f"h11 {h11.__version__}: {count} streams, {messages} messages, {wrong} wrong")
    return 1 if wrong or not messages else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
