// The client's side of the tests, made with Node's ws: client.mjs PORT. See client.py, it is its twin.

import assert from "node:assert/strict";
import crypto from "node:crypto";
import { once } from "node:events";
import { createRequire } from "node:module";

const WebSocket = createRequire(`${process.env.COMPAT_NODE}/`)("ws");

const MESSAGES = 1000;
const BIG = 16 * 1024 * 1024;
const PORT = process.argv[2];
const WAIT_MS = 30_000;

// Opens a connection whose messages are kept until they are asked for.
async function open(path, protocols = [], options = {}) {
  const socket = new WebSocket(`ws://127.0.0.1:${PORT}${path}`, protocols, {
    perMessageDeflate: false,
    maxPayload: 2 * BIG,
    ...options,
  });
  const got = [];
  const waiting = [];
  socket.on("message", (data, binary) => {
    const message = binary ? data : data.toString();
    if (waiting.length > 0) waiting.shift().resolve(message);
    else got.push(message);
  });
  // What waits for a message when the connection ends will wait in vain.
  const end = (error) => waiting.splice(0).forEach((one) => one.reject(error));
  socket.on("close", (code) => end(new Error(`closed with ${code}`)));
  socket.on("error", end);
  socket.receive = () =>
    got.length > 0
      ? Promise.resolve(got.shift())
      : new Promise((resolve, reject) => waiting.push({ resolve, reject }));
  socket.end = async () => {
    const closed = once(socket, "close");
    socket.close(1000);
    assert.equal((await closed)[0], 1000);
  };
  await once(socket, "open");
  return socket;
}

function same(got, expected) {
  assert.equal(typeof got, typeof expected);
  const equal = typeof got === "string" ? got === expected : got.equals(expected);
  assert.ok(equal, `${got.length} units that differ from the ${expected.length} sent`);
}

const CHECKS = {
  async echo() {
    const socket = await open("/echo");
    const borders = [0, 1, 125, 126, 127, 65535, 65536, 65537];
    const messages = Array.from({ length: MESSAGES }, (_, number) => {
      const size = borders[number] ?? crypto.randomInt(5000);
      return number % 2 ? "ä".repeat(size / 2) : crypto.randomBytes(size);
    });
    messages.forEach((message) => socket.send(message));
    for (const message of messages) same(await socket.receive(), message);
    await socket.end();
  },

  async fragments() {
    const socket = await open("/fragments");
    for (const whole of ["x".repeat(5500), crypto.randomBytes(5500)]) {
      for (let at = 0; at < whole.length; at += 700) {
        socket.send(whole.slice(at, at + 700), { fin: at + 700 >= whole.length });
      }
      same(await socket.receive(), whole);
    }
    await socket.end();
  },

  async ping() {
    const socket = await open("/ping");
    const pong = once(socket, "pong");
    socket.ping("here");
    assert.equal(String((await pong)[0]), "here");
    socket.send("ping me");
    same(await socket.receive(), "ponged");
    await socket.end();
  },

  async big() {
    let socket = await open("/big");
    socket.send(String(BIG));
    same(await socket.receive(), Buffer.alloc(BIG));
    await socket.end();
    socket = await open("/echo");
    const frame = crypto.randomBytes(BIG);
    socket.send(frame);
    same(await socket.receive(), frame);
    await socket.end();
  },

  async subprotocol() {
    let socket = await open("/echo", ["chat.v2", "chat.v1"]);
    assert.equal(socket.protocol, "chat.v1");
    await socket.end();
    socket = await open("/echo");
    assert.equal(socket.protocol, "");
    await socket.end();
  },

  async deflate() {
    const socket = await open("/echo", [], { perMessageDeflate: { threshold: 0 } });
    assert.match(socket.extensions, /^permessage-deflate/);
    for (const size of [0, 10, 1000, 1_000_000]) {
      const message = "again and again ".repeat(size / 16);
      socket.send(message);
      same(await socket.receive(), message);
    }
    await socket.end();
  },

  async close_by_server() {
    const socket = await open("/close?id=by-server");
    const closed = once(socket, "close");
    socket.send("close, please");
    const [code, reason] = await closed;
    assert.deepEqual([code, String(reason)], [4001, "server says so"]);
  },

  async close_by_client() {
    const socket = await open("/echo?id=by-client");
    socket.send("still here");
    await socket.receive();
    const closed = once(socket, "close");
    socket.close(4002, "client says so");
    assert.equal((await closed)[0], 4002);
  },

  async refused() {
    const socket = new WebSocket(`ws://127.0.0.1:${PORT}/refuse`);
    const [, response] = await once(socket, "unexpected-response");
    assert.equal(response.statusCode, 403);
    assert.equal((await response.toArray()).join(""), "not you\n");
  },
};

const late = () => new Promise((_, no) => setTimeout(() => no(new Error("timed out")), WAIT_MS));
for (const [check, run] of Object.entries(CHECKS)) {
  const result = { check, ok: true, detail: "" };
  try {
    await Promise.race([run(), late()]);
  } catch (error) {
    result.ok = false;
    result.detail = String(error).slice(0, 300);
  }
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
process.exit(0);
