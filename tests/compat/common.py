"""What the compatibility tests share: children that end, a gateway, and the verdict.

Every child is ended by its id, on every way out of its block, also when the time is over.
"""

import json
import queue
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

START_SECONDS = 10

failures = []


def verdict(ok, text):
    print(f"{'ok  ' if ok else 'FAIL'} {text}", flush=True)
    if not ok:
        failures.append(text)


class Stopped(BaseException):
    """Out of time, or told to stop: every block on the way out ends its process."""


def stop(number, _frame):
    raise Stopped(signal.Signals(number).name)


def run(doc, name, seconds, tests):
    """Runs `tests(program)` for so many seconds at most; ends the process with the verdict."""
    match sys.argv[1:]:
        case ["--direct"]:
            program = None
        case [program]:
            pass
        case _:
            sys.exit(doc)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        tests(program)
    except (Exception, Stopped) as error:
        verdict(False, f"could not go on: {type(error).__name__}: {error}"[:300])
    print(f"{name}: {len(failures)} failed" if failures else f"{name}: all passed")
    sys.exit(1 if failures else 0)


def client(name, command, port, checks, seconds):
    """Runs a client that says {"check", "ok", "detail"} a line; so many checks must be made."""
    try:
        done = subprocess.run([*command, str(port)], stdout=subprocess.PIPE, text=True, timeout=seconds)
        lines = done.stdout.splitlines(keepends=True)
    except subprocess.TimeoutExpired as late:
        lines = (late.stdout or b"").decode().splitlines(keepends=True)
    results = [json.loads(line) for line in lines if line.endswith("\n")]
    for result in results:
        detail = f": {result['detail']}" if result["detail"] else ""
        verdict(result["ok"], f"{name}: {result['check']}{detail}")
    if len(results) != checks:
        verdict(False, f"{name}: {len(results)} of {checks} checks were made")


class Process:
    """A child whose output is read line by line, and which ends with its block, by its id."""

    def __init__(self, command, output):
        pipes = {"stdin": subprocess.PIPE, output: subprocess.PIPE}
        self.child = subprocess.Popen(command, text=True, **pipes)
        self.lines = queue.SimpleQueue()
        stream = getattr(self.child, output)
        # Read to its end, so that the child never waits for us.
        self.reader = threading.Thread(target=lambda: [self.lines.put(line) for line in stream], daemon=True)
        self.reader.start()

    def line(self):
        """The next line; an error if none comes."""
        return self.lines.get(timeout=START_SECONDS)

    def begin(self):
        """Waits until it is ready."""

    def __enter__(self):
        try:
            self.begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.child.stdin.close()
        self.child.terminate()
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


class Gateway(Process):
    def __init__(self, program, to):
        command = [program, "proxy", "--listen", "127.0.0.1:0", "--to", f"127.0.0.1:{to}"]
        super().__init__(command, "stderr")

    def begin(self):
        line = ""
        while not line.startswith("coregate: ready"):
            line = self.line()
            if line.startswith("coregate: listening on "):
                self.port = int(line.split()[3].rpartition(":")[2])

    def resident_kib(self):
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])


class Nothing:
    """No gateway: the server itself."""

    def __init__(self, port):
        self.port = port

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def before(server, program):
    """A gateway before a server; without a program, nothing."""
    return Gateway(program, server.port) if program else Nothing(server.port)
