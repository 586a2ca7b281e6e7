"""Prometheus finds what to scrape at the gateway, by http_sd, and scrapes it.

run.py COREGATE
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TOKEN = "a-token-of-some-length-to-read"
SECONDS = 60

GATEWAY = """
listen = "unix:{folder}/public.sock"
[runtime]
cores = 1
admin = ["unix:{folder}/admin.sock", "127.0.0.1:{port}"]
[routes]
"/*" = "users"
[services.users]
register = true
[tokens.prometheus]
token.env = "SCRAPE_TOKEN"
services = ["*"]
scopes = ["read"]
"""

PROMETHEUS = """
global: {{ scrape_interval: 1s }}
scrape_configs:
  - job_name: coregate
    http_sd_configs:
      - url: http://127.0.0.1:{port}/v1/sd/prometheus
        refresh_interval: 1s
        authorization: {{ type: Bearer, credentials: {token} }}
    relabel_configs:
      - {{ source_labels: [__meta_coregate_service], target_label: service }}
      - {{ source_labels: [__meta_coregate_id], target_label: instance }}
      - {{ source_labels: [__meta_coregate_zone], target_label: zone }}
"""


class Metrics(BaseHTTPRequestHandler):
    def do_GET(self):
        text = b"up_for_sure 1\n"
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def scraped():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"127.0.0.1:{server.server_port}"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def until(what, holds):
    deadline = time.monotonic() + SECONDS
    told = None
    while time.monotonic() < deadline:
        try:
            told = holds()
            if told:
                return told
        except (OSError, urllib.error.URLError) as error:
            told = error
        time.sleep(0.1)
    sys.exit(f"prometheus: not within {SECONDS} s: {what}: {told}")


def main():
    coregate = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        port, own = free_port(), free_port()
        Path(folder, "coregate.toml").write_text(GATEWAY.format(folder=folder, port=port))
        Path(folder, "prometheus.yml").write_text(PROMETHEUS.format(port=port, token=TOKEN))
        gateway = subprocess.Popen(
            [coregate, "run", "-c", f"{folder}/coregate.toml", "--drain-delay", "0s"],
            env=os.environ | {"SCRAPE_TOKEN": TOKEN},
            stderr=subprocess.DEVNULL,
        )
        prometheus = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{own}",
            ],
            stderr=subprocess.DEVNULL,
        )
        try:
            play(coregate, f"unix:{folder}/admin.sock", own)
        finally:
            for process in (prometheus, gateway):
                process.terminate()
                process.wait()


def play(coregate, admin, own):
    def command(*words):
        subprocess.run([coregate, "registry", *words, "--admin", admin], check=True, stdout=subprocess.DEVNULL)

    def scrapes():
        url = f"http://127.0.0.1:{own}/api/v1/targets?state=active"
        with urllib.request.urlopen(url, timeout=5) as answer:
            targets = json.load(answer)["data"]["activeTargets"]
        return {
            one["labels"]["instance"]: (one["labels"]["service"], one["labels"].get("zone"), one["health"]) for one in targets
        }

    first, second = scraped(), scraped()
    until("the gateway is ready", lambda: subprocess.run(
        [coregate, "status", "--ready", "--admin", admin], capture_output=True, check=False
    ).returncode == 0)
    command("register", "users", first, "--id", "a", "--zone", "z1")
    command("register", "users", second, "--id", "b")
    both = {"a": ("users", "z1", "up"), "b": ("users", None, "up")}
    until("both are scraped", lambda: scrapes() == both)
    command("status", "users", "b", "down")
    until("one is left", lambda: scrapes() == {"a": both["a"]})
    command("status", "users", "b", "up")
    until("both are scraped again", lambda: scrapes() == both)
    command("deregister", "users", "a")
    until("the other is left", lambda: scrapes() == {"b": both["b"]})
    print("prometheus: targets came and went as instances did, with their labels")


main()
