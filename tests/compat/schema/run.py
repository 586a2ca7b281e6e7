"""The schema that coregate writes, judged by two that did not write it: jsonschema and tombi.

run.py COREGATE TOMBI

It must be a schema (draft 2020-12), take every example and every file that coregate takes, and refuse broken ones.
"""

import json
import random
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from jsonschema import Draft202012Validator

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "tests/data/examples"
WHOLE = Path(__file__).with_name("whole.toml")

# What stands at the top of a file so that editors know its schema.
SCHEMA = "coregate.schema.json"
COMMENT = f"#:schema ./{SCHEMA}\n"

# Files that are mutated and given to both coregate and the schema.
MUTATIONS = 400

# A line, and where the schema refuses it.
BROKEN = [
    ("listne = '127.0.0.1:80'", []),
    ("listen = '127.0.0.1'", ["listen"]),
    ("listen = 8080", ["listen"]),
    ("listen = []", ["listen"]),
    ("listen = 'localhost:80'", ["listen"]),
    ("listen = 'unix:/a'\nlisteners.a.bind = 'unix:/b'", []),
    ("runtime.wokers = 2", ["runtime"]),
    ("runtime.workers = 0", ["runtime", "workers"]),
    ("runtime.workers = '2'", ["runtime", "workers"]),
    ("runtime.io = 'io_uring'", ["runtime", "io"]),
    ("runtime.cores = 'all'", ["runtime", "cores"]),
    ("runtime.drain = '0s'", ["runtime", "drain"]),
    ("runtime.drain = '1m30s'", ["runtime", "drain"]),
    ("runtime.drain = 30", ["runtime", "drain"]),
    ("runtime.admin_token = 'hidden'", ["runtime", "admin_token"]),
    ("runtime.admin_token = {}", ["runtime", "admin_token"]),
    ("runtime.admin_token = { env = 'A', file = '/a' }", ["runtime", "admin_token"]),
    ("runtime.admin_token.file = 'a'", ["runtime", "admin_token", "file"]),
    ("listeners.'a b'.bind = 'unix:/a'", ["listeners"]),
    ("listeners.a.expose_reasons = 'true'", ["listeners", "a", "expose_reasons"]),
    ("listeners.a.limits.body = '10m'", ["listeners", "a", "limits", "body"]),
    ("listeners.a.limits.fields = 101", ["listeners", "a", "limits", "fields"]),
    ("listeners.a.proxy_protocol = {}", ["listeners", "a", "proxy_protocol"]),
    ("listeners.a.proxy_protocol.from = ['lb.example']", ["listeners", "a", "proxy_protocol", "from", 0]),
    ("listeners.a.limits.connections = 0", ["listeners", "a", "limits", "connections"]),
    ("listeners.a.limits.connections_per_address = 65536", ["listeners", "a", "limits", "connections_per_address"]),
    ("services.b.instances = '127.0.0.1:1'", ["services", "b", "instances"]),
    ("services.b.instances = ['127.0.0.1']", ["services", "b", "instances"]),
    ("services.b.instances = ['127.0.0.1:1 wait=2']", ["services", "b", "instances"]),
    ("services.b.instances = 'dns:users'", ["services", "b", "instances"]),
    ("services.b.instances = 'file_sd:users.json'", ["services", "b", "instances"]),
    ("services.b.health = 'healthz'", ["services", "b", "health"]),
    ("services.b.health = { get = 'healthz' }", ["services", "b", "health"]),
    ("services.b.health = { get = '/a', tcp = true }", ["services", "b", "health"]),
    ("services.b.health = { tcp = true, status = 200 }", ["services", "b", "health"]),
    ("services.b.health = { get = '/a', rise = 0 }", ["services", "b", "health"]),
    ("services.b.health = { get = '/a', status = 99 }", ["services", "b", "health"]),
    ("services.b.outlier = 5", ["services", "b", "outlier"]),
    ("services.b.outlier = { errors = 50 }", ["services", "b", "outlier"]),
    ("services.b.slow_start = 30", ["services", "b", "slow_start"]),
    ("services.b.retry = 3", ["services", "b", "retry"]),
    ("services.b.retry.attempts = 0", ["services", "b", "retry", "attempts"]),
    ("tokens.a = { services = '*', scopes = 'read' }", ["tokens", "a"]),
    ("tokens.a = { token.env = 'A', services = [], scopes = 'read' }", ["tokens", "a", "services"]),
    ("tokens.a = { token.env = 'A', services = 'a*b', scopes = 'read' }", ["tokens", "a", "services"]),
    ("tokens.a = { token.env = 'A', services = '*', scopes = 'write' }", ["tokens", "a", "scopes"]),
    ("dns.servers = '127.0.0.1'", ["dns", "servers"]),
    ("dns.ttl = '1s'", ["dns"]),
    ("runtime.state = 'var'", ["runtime", "state"]),
    ("consumers.'a b'.keys = []", ["consumers"]),
    ("consumers.a.keys = ['hidden']", ["consumers", "a", "keys", 0]),
    ("consumers.a.keys = [{ env = 'A', file = '/b' }]", ["consumers", "a", "keys", 0]),
    ("consumers.a.keys = [{ sha256 = 'abc' }]", ["consumers", "a", "keys", 0, "sha256"]),
    ("consumers.a.keys = [{ env = 'A', expires = '2027-01-31' }]", ["consumers", "a", "keys", 0, "expires"]),
    ("consumers.a.groups = ['a b']", ["consumers", "a", "groups"]),
    ("auth.a = { realm = 'a' }", ["auth", "a"]),
    ("auth.a.key = 'x-api-key'", ["auth", "a", "key"]),
    ("auth.a.key = { header = 'x-a', query = 'a' }", ["auth", "a", "key"]),
    ("rates.a = {}", ["rates", "a"]),
    ("rates.a.limit = '100'", ["rates", "a"]),
    ("rates.a = { limit = '100/s', per = 'ip' }", ["rates", "a"]),
    ("rates.a = { limit = '100/s', scope = 'local' }", ["rates", "a"]),
    ("rates.a = { limit = '100/s', cost = 0 }", ["rates", "a"]),
    ("listeners.a.rate_headers = 'ietf'", ["listeners", "a", "rate_headers"]),
    ("services.b.proxy_protocol = 2", ["services", "b", "proxy_protocol"]),
    ("services.b.pool.idle_per_worker = -1", ["services", "b", "pool", "idle_per_worker"]),
    ("services.b.timeout.connct = '1s'", ["services", "b", "timeout"]),
    ("routes.'/*' = 3", ["routes", "/*"]),
    ("routes.'/*' = { too = 'users' }", ["routes", "/*"]),
    ("routes.'users/*' = 'users'", ["routes"]),
    ("routes.'a.b' = 'users'", ["routes", "a.b"]),
    ("routes.'a.b'.to = 'users'", ["routes", "a.b"]),
    ("routes.'/a' = { to = 'a', respond = 204 }", ["routes", "/a"]),
    ("routes.'/a' = { split = { users = 95 } }", ["routes", "/a"]),
    ("routes.'/a' = { redirect = { to = '/b', status = 200 } }", ["routes", "/a"]),
    ("routes.'/a' = { respond = { stauts = 200 } }", ["routes", "/a"]),
    ("routes.'/a' = { to = 'a', when = { header = { x = { prefix = 'a', regex = 'b' } } } }", ["routes", "/a"]),
    ("routes.'/a' = { to = 'a', strip_prefix = '/a', rewrite = '/b' }", ["routes", "/a"]),
    ("tests = [{ request = 'GET /a' }]", ["tests", 0]),
    ("tests = [{ request = '/a', expect.status = 404 }]", ["tests", 0, "request"]),
    ("tests = [{ request = 'GET /a', expect.staus = 1 }]", ["tests", 0, "expect"]),
    ("include = { files = 'teams/*.toml' }", ["include"]),
    ("defaults.service.instances = []", ["defaults", "service"]),
    ("routes.'/a'.redirect = 'b.example'", ["routes", "/a"]),
]
REST = "\n[services.users]\ninstances = []\n"

# Values that a mutation puts where another stood.
VALUES = [
    0, 1, -1, 100, 65536, 1 << 31, True, False, 1.5, "", "a", "users", "auto", "unix", "unix:/a", "0s", "5s", "1h", "007ms",
    "1KiB", "16KiB", "0B", "v1", "0-3,6", "127.0.0.1:80", "[::1]:80", "127.0.0.1:0", "10.0.0.0/8", "::1", "/a", "GET /a", "/a/*",
    [], ["unix:/a"], ["10.0.0.0/8", "unix"], {}, {"to": "users"}, {"env": "A"}, {"from": ["unix"]}, {"head": "1s"},
    "/healthz", "tcp", "GET /a", "50%", "30s..5m", "200-299", [200, "300-399"], "10.0.0.1:9000 weight=2", "dns:users:9000",
    ["srv:_http._tcp.a", "file_sd:/a"], "users*", "read", ["read", "operate"], "memory", {"get": "/a"}, {"tcp": True},
    {"attempts": 3}, {"errors": "50%"},
]  # fmt: skip
KEYS = ["to", "a", "users", "/b", "/b/*", "a.example", "*", "*.b", "head", "body", "env", "tcp", "timeout", "limits", "pool",
        "health", "get", "status", "outlier", "errors", "window", "retry", "instances", "scopes", "services", "state"]

failures = []


def check(good, what):
    if not good:
        failures.append(what)
        print(f"  {what}")


def said(errors):
    return "; ".join(f"{list(error.absolute_path)}: {error.message[:120]}" for error in errors)


def properties(part, path=()):
    """Every property of every table, with its schema."""
    if isinstance(part, dict):
        for name, schema in part.get("properties", {}).items() if path[-1:] != ("properties",) else ():
            yield (*path, name), schema
        for name, inner in part.items():
            yield from properties(inner, (*path, name))
    elif isinstance(part, list):
        for at, inner in enumerate(part):
            yield from properties(inner, (*path, at))


def the_schema_itself(schema):
    Draft202012Validator.check_schema(schema)
    patterns = re.findall(r'"pattern": ("(?:[^"\\]|\\.)*")', json.dumps(schema))
    for pattern in patterns:
        re.compile(json.loads(pattern))
    seen = 0
    for path, part in properties(schema):
        check("description" in part, f"{path} has no description")
        validator = Draft202012Validator({"$defs": schema["$defs"], **part})
        for value in [*part.get("examples", []), *([part["default"]] if "default" in part else [])]:
            errors = list(validator.iter_errors(value))
            check(not errors, f"{path}: {value!r}: {said(errors)}")
            seen += 1
    check(len(patterns) > 15 and seen > 80, f"{len(patterns)} patterns, {seen} values: too few to be all")
    print(f"schema: {len(patterns)} patterns, {seen} examples and defaults")


def refuses_at(validator, document, path):
    """Whether something is wrong at this place, and nowhere else."""
    errors = list(validator.iter_errors(document))
    return bool(errors) and all(list(error.absolute_path) == path for error in errors)


def files(validator, tombi, folder):
    good = sorted(EXAMPLES.rglob("*.toml")) + [WHOLE]
    check(len(good) >= 5, f"only {len(good)} files")
    copies = []
    for path in good:
        errors = list(validator.iter_errors(tomllib.loads(path.read_text())))
        check(not errors, f"{path}: {said(errors)}")
        copies.append(folder / "-".join(path.relative_to(ROOT).parts))
        copies[-1].write_text(COMMENT + path.read_text())
    lint = tombi("--error-on-warnings", *copies)
    check(lint.returncode == 0, f"tombi refuses good files:\n{lint.stdout}{lint.stderr}")
    print(f"taken: {len(good)} files")
    for line, path in BROKEN:
        text = line + REST
        errors = list(validator.iter_errors(tomllib.loads(text)))
        check(refuses_at(validator, tomllib.loads(text), path), f"{line!r}: expected {path}, found {said(errors)}")
        broken = folder / "broken.toml"
        broken.write_text(COMMENT + text)
        check(tombi(broken).returncode == 1, f"{line!r}: tombi takes it")
    print(f"refused: {len(BROKEN)} files")


def texts(validator, coregate):
    """The examples of `coregate help CODE`: the right ones are taken, and so are those that a schema cannot tell from them."""
    refused = {"E0005", "E0006", "E0007", "E0009", "E0010", "E0011", "E0012", "E0014", "E0017", "E0021", "E0025", "E0060", "E0061"}
    seen = set()
    for code in [f"{kind}{number:04}" for kind in "EW" for number in range(1, 100)]:
        shown = coregate("help", code)
        if shown.returncode:
            continue
        examples = re.findall(r"^(Wrong|Right):\n\n((?:    .*\n)+)", shown.stdout, re.M)
        # Below lines such as "# teams/users.toml" stand files of their own.
        alone = [(title, text) for title, texts in examples for text in re.split(r"(?m)^    # \S+\.toml\n", texts)]
        for title, text in alone:
            try:
                document = tomllib.loads(re.sub("(?m)^    ", "", text))
            except tomllib.TOMLDecodeError:
                check(title == "Wrong" and code in ("E0003", "E0004"), f"help {code}: {title}: not TOML")
                continue
            errors = list(validator.iter_errors(document))
            check(title == "Wrong" or not errors, f"help {code}: {said(errors)}")
            if title == "Wrong" and errors:
                seen.add(code)
    check(refused <= seen, f"the schema takes the wrong examples of {sorted(refused - seen)}")
    print(f"texts: the wrong examples of {len(seen)} codes are refused")


def in_toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {in_toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(in_toml, value)) + "]"
    return json.dumps(value)


def places(value, path=()):
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in inner:
        yield from places(child, (*path, key))


def mutated(document, rng):
    """The document with one value changed, taken away or put beside another."""
    document = json.loads(json.dumps(document))
    path = rng.choice([path for path in places(document) if path])
    table = document
    for key in path[:-1]:
        table = table[key]
    match rng.randrange(4):
        case 0:
            del table[path[-1]]
        case 1 if isinstance(table, dict):
            table[rng.choice(KEYS)] = rng.choice(VALUES)
        case 2 if isinstance(table, dict):
            table[rng.choice(KEYS)] = table.pop(path[-1])
        case _:
            table[path[-1]] = rng.choice(VALUES)
    return document


def mutations(validator, coregate, folder):
    rng = random.Random(1)
    documents = [tomllib.loads(path.read_text()) for path in sorted(EXAMPLES.glob("*.toml"))]
    taken = refused = 0
    for _ in range(MUTATIONS):
        document = mutated(rng.choice(documents), rng)
        text = "".join(f"{json.dumps(key)} = {in_toml(value)}\n" for key, value in document.items())
        file = folder / "mutated.toml"
        file.write_text(text)
        checked = coregate("check", file)
        check(checked.returncode in (0, 78), f"exit {checked.returncode} of:\n{text}")
        errors = list(validator.iter_errors(document))
        taken += checked.returncode == 0
        refused += bool(errors)
        check(checked.returncode or not errors, f"coregate takes this, the schema does not: {said(errors)}\n{text}")
    check(taken > MUTATIONS / 20 and refused > MUTATIONS / 5, f"{taken} taken, {refused} refused: a poor choice")
    print(f"mutations: {MUTATIONS}; coregate takes {taken}, the schema refuses {refused}")


def main(binary, linter):
    def coregate(*arguments):
        return subprocess.run([binary, *arguments], capture_output=True, text=True, timeout=60)

    written = coregate("schema")
    check(written.returncode == 0 and not written.stderr, f"coregate schema: {written.stderr}")
    schema = json.loads(written.stdout)
    validator = Draft202012Validator(schema)
    the_schema_itself(schema)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / SCHEMA).write_text(written.stdout)

        def tombi(*arguments):
            command = [linter, "lint", "--offline", *arguments]
            environment = {"HOME": name, "NO_COLOR": "1"}
            return subprocess.run(command, cwd=name, env=environment, capture_output=True, text=True, timeout=60)

        files(validator, tombi, folder)
        texts(validator, coregate)
        mutations(validator, coregate, folder)
    print(f"{len(failures)} wrong" if failures else "ok")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
