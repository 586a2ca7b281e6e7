"""What the admin listener speaks, judged by others: openapi-spec-validator on the document, jsonschema on real answers.

api.py COREGATE
"""

import http.client
import json
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from openapi_spec_validator.validation.exceptions import OpenAPIValidationError
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

CONFIG = """
listen = "unix:{folder}/public.sock"
[runtime]
cores = 1
[consumers.web]
groups = ["tin"]
keys = [{{ sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" }}]
[rates.api]
limit = "5/h"
per = "consumer"
groups = {{ tin = "2/h" }}
[rates.own]
limit = "5/s"
per = "consumer"
scope = "worker"
[quotas.month]
limit = 100
every = "month"
zone = "Europe/Berlin"
per = "consumer"
groups = {{ tin = 10 }}
[routes]
"/*" = "s"
"/guarded/*" = {{ to = "s", auth = "key", rate = ["api", "own"], quota = "month" }}
[services.s]
register = true
instances = ["127.0.0.1:9"]
"""

INSTANCE = "/v1/services/s/instances/a"
BODY = {
    "address": "127.0.0.1:1",
    "ttl": "60s",
    "weight": 3,
    "zone": "z1",
    "version": "1.2",
    "tags": ["blue"],
    "metadata": {"k": "v"},
    "check": {"get": "/healthz", "every": "2s", "headers": {"x-a": "b"}, "status": ["200-299"]},
}

# What is asked, in this order, and the status of its answer.
ASKED = [
    ("GET", "/v1/openapi.json", None, 200),
    ("GET", "/livez", None, 200),
    ("GET", "/v1/status", None, 200),
    ("GET", "/v1/workers", None, 200),
    ("GET", "/v1/config", None, 200),
    ("GET", "/v1/config/history", None, 200),
    ("GET", "/v1/routes", None, 200),
    ("GET", "/v1/config/diff", None, 404),
    ("POST", "/v1/config/reload", None, 200),
    ("POST", "/v1/config/confirm", None, 409),
    ("POST", "/v1/config/rollback?to=99", None, 404),
    ("POST", "/v1/explain", {"method": "GET", "url": "http://h/x"}, 200),
    ("GET", "/v1/services", None, 200),
    ("PUT", INSTANCE, BODY, 201),
    ("PUT", INSTANCE, BODY, 200),
    ("PUT", INSTANCE, {"address": "nowhere"}, 400),
    ("PUT", INSTANCE, {"address": "127.0.0.1:1", "check": {"get": "x"}}, 400),
    ("GET", INSTANCE, None, 200),
    ("GET", "/v1/services/s/instances", None, 200),
    ("GET", "/v1/services/nobody/instances", None, 404),
    ("POST", INSTANCE + "/renew", None, 200),
    ("PUT", INSTANCE + "/status", {"status": "maintenance"}, 200),
    ("PUT", INSTANCE + "/status", {"status": "up"}, 200),
    ("PUT", INSTANCE + "/weight", {"weight": 7}, 200),
    ("PUT", INSTANCE + "/weight", {"weight": 0}, 400),
    ("POST", INSTANCE + "/drain?deadline=5s", None, 200),
    ("POST", INSTANCE + "/enable", None, 200),
    ("POST", "/v1/services/s/instances/127.0.0.1:9/drain", None, 200),
    ("GET", "/v1/sd/prometheus?all=true", None, 200),
    ("GET", "/v1/services/s/load", None, 200),
    ("GET", "/v1/services/nobody/load", None, 404),
    ("POST", "/v1/registry/bulk", {"renew": [{"service": "s", "id": "a"}]}, 200),
    ("POST", "/v1/registry/bulk", {"renew": [{"service": "s", "id": "b"}]}, 409),
    ("POST", "/v1/registry/bulk", {}, 400),
    (
        "POST",
        "/v1/registry/changes",
        {"changes": [{"action": "register", "service": "s", "address": "127.0.0.1:2"}]},
        200,
    ),
    ("POST", "/v1/consumers", {"name": "mobile", "groups": ["gold"], "expires": "90d"}, 201),
    ("POST", "/v1/consumers", {"name": "mobile"}, 409),
    ("POST", "/v1/consumers", {"name": "a b"}, 400),
    ("POST", "/v1/consumers/mobile/keys", None, 201),
    ("POST", "/v1/consumers/mobile/rotate", {"grace": "1h"}, 201),
    ("POST", "/v1/consumers/nobody/rotate", None, 404),
    ("GET", "/v1/consumers", None, 200),
    ("GET", "/v1/consumers?name=web", None, 200),
    ("GET", "/v1/consumers?name=nobody", None, 404),
    ("DELETE", "/v1/consumers/web/keys/ba7816bf", None, 200),
    ("DELETE", "/v1/consumers/web/keys/01234567", None, 404),
    ("DELETE", "/v1/consumers/web/keys/x", None, 400),
    ("DELETE", "/v1/consumers/mobile/keys", None, 200),
    ("DELETE", "/v1/consumers/web", None, 409),
    ("DELETE", "/v1/consumers/mobile", None, 200),
    ("GET", "/v1/limits", None, 200),
    ("GET", "/v1/limits/api?consumer=web", None, 200),
    ("GET", "/v1/limits/api", None, 400),
    ("GET", "/v1/limits/none", None, 404),
    ("POST", "/v1/limits/api/reset?consumer=web", None, 200),
    ("POST", "/v1/limits/own/reset?consumer=web", None, 409),
    ("GET", "/v1/limits/month?consumer=web", None, 200),
    ("GET", "/v1/limits/month", None, 400),
    ("POST", "/v1/limits/month/reset?consumer=web", None, 200),
    ("DELETE", INSTANCE, None, 200),
    ("DELETE", INSTANCE, None, 404),
    ("GET", "/v1/registry/watch?from=x", None, 400),
]


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=20)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self.path)


def ask(path, method, target, body):
    connection = Connection(path)
    headers = {} if body is None else {"content-type": "application/json"}
    connection.request(method, target, body if body is None else json.dumps(body), headers)
    response = connection.getresponse()
    answer = response.status, response.headers.get_content_type(), response.read()
    connection.close()
    return answer


def operation(document, method, target):
    """The operation that a target belongs to: the path with the fewest parameters."""
    parts = target.split("?")[0].split("/")

    def fits(path):
        own = path.split("/")
        same = (one.startswith("{") or one == other for one, other in zip(own, parts))
        return len(own) == len(parts) and all(same)

    path = min(filter(fits, document["paths"]), key=lambda path: path.count("{"))
    return document["paths"][path][method.lower()]


def main():
    coregate = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        config, admin = Path(folder, "coregate.toml"), f"{folder}/admin.sock"
        config.write_text(CONFIG.format(folder=folder))
        command = [coregate, "run", "-c", str(config), "--admin", f"unix:{admin}", "--drain-delay", "0s"]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            until_ready(process, admin)
            judge(admin)
        finally:
            process.terminate()
            process.wait()


def until_ready(process, admin):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if ask(admin, "GET", "/readyz", None)[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.02)
    sys.exit("api.py: the gateway is not ready")


def judge(admin):
    document = json.loads(ask(admin, "GET", "/v1/openapi.json", None)[2])
    assert document["openapi"].startswith("3.1."), document["openapi"]
    validate(document)
    # A validator that never objects proves nothing.
    broken = json.loads(json.dumps(document))
    del broken["info"]["title"]
    try:
        validate(broken)
        sys.exit("api.py: the validator takes anything")
    except OpenAPIValidationError:
        pass
    whole = Resource(contents=document, specification=DRAFT202012)
    registry = Registry().with_resource("urn:api", whole)
    wrong, asked = [], set()
    for method, target, body, status in ASKED:
        told, media, text = ask(admin, method, target, body)
        named = operation(document, method, target)
        asked.add(named["operationId"])
        where = f"{method} {target}"
        if told != status:
            wrong.append(f"{where}: {told} instead of {status}: {text[:300]}")
            continue
        wrong.extend(f"{where}: {fault}" for fault in faults(named, str(status), media, text, registry, body))
    count = sum(len(item) for item in document["paths"].values())
    print(f"api: OpenAPI {document['openapi']}, {count} operations; {len(asked)} of them answered {len(ASKED)} times, {len(wrong)} wrong")
    sys.exit("\n".join(wrong) or None)


def faults(named, status, media, text, registry, body):
    answer = named["responses"].get(status)
    if answer is None:
        return [f"status {status} is not documented"]
    if "content" not in answer:
        return [f"a body is not documented: {text[:100]}"] if text else []
    if media not in {kind.split(";")[0] for kind in answer["content"]}:
        return [f"{media} is not documented, but {list(answer['content'])}"]
    if not media.endswith("json"):
        return []
    schemas = [(answer["content"][media]["schema"], json.loads(text), "the answer")]
    if body and "requestBody" in named and int(status) < 400:
        taken = named["requestBody"]["content"]["application/json"]["schema"]
        schemas.append((taken, body, "the body"))
    found = []
    for schema, value, what in schemas:
        absolute = json.loads(json.dumps(schema).replace('"#/', '"urn:api#/'))
        validator = Draft202012Validator(absolute, registry=registry)
        found.extend(f"{what}: {error.json_path}: {error.message[:200]}" for error in validator.iter_errors(value))
    return found


main()
