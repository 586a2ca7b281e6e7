// undici, and Node's own http for request trailers: client.mjs PORT. Says {"check", "ok", "detail"} a line, as run.py does.

import assert from "node:assert/strict";
import crypto from "node:crypto";
import http from "node:http";
import { createRequire } from "node:module";
import { Readable } from "node:stream";

const { Client, request } = createRequire(`${process.env.COMPAT_NODE}/`)("undici");
const url = `http://127.0.0.1:${process.argv[2]}`;
const BODY = crypto.randomBytes(1_000_000);
const SUM = crypto.createHash("sha256").update(BODY).digest("hex");

const whole = async (body) => Buffer.from(await body.arrayBuffer());
const passed = (trailers) => {
  const value = trailers["x-checksum"];
  assert.ok(value === undefined || value === "abc", String(value));
  return value === undefined ? "trailers dropped" : "trailers passed on";
};

const CHECKS = {
  async keep_alive() {
    const client = new Client(url);
    let connects = 0;
    client.on("connect", () => (connects += 1));
    for (let turn = 0; turn < 20; turn += 1) {
      const { statusCode, body } = await client.request({ path: "/hello", method: "GET" });
      assert.equal(`${statusCode} ${await body.text()}`, "200 hello\n");
    }
    assert.equal(connects, 1);
    await client.close();
  },

  async chunked_upload() {
    const pieces = Readable.from([BODY.subarray(0, 10), BODY.subarray(10, 70_000), BODY.subarray(70_000)]);
    const { body } = await request(`${url}/upload`, { method: "POST", body: pieces });
    const said = await body.json();
    assert.deepEqual([said.bytes, said.sha256, said.coding], [BODY.length, SUM, "chunked"]);
  },

  async answer_trailers() {
    const { body, trailers } = await request(`${url}/trailers`);
    assert.equal(await body.text(), "hello");
    return passed(trailers);
  },

  async request_trailers() {
    const said = await new Promise((resolve, reject) => {
      const headers = { "transfer-encoding": "chunked", trailer: "x-checksum" };
      const asked = http.request(`${url}/upload`, { method: "POST", headers }, async (answer) => {
        resolve(JSON.parse((await answer.toArray()).join("")));
      });
      asked.on("error", reject);
      asked.addTrailers({ "x-checksum": "abc" });
      asked.end(BODY);
    });
    assert.equal(said.sha256, SUM);
    return passed(said.trailers);
  },

  async expect_continue() {
    const said = await new Promise((resolve, reject) => {
      const headers = { expect: "100-continue", "content-length": BODY.length };
      const asked = http.request(`${url}/upload`, { method: "POST", headers }, async (answer) => {
        resolve(JSON.parse((await answer.toArray()).join("")));
      });
      asked.on("error", reject);
      // Without a 100 nothing is sent, and the test fails by its time.
      asked.on("continue", () => asked.end(BODY));
      asked.flushHeaders();
    });
    assert.equal(said.sha256, SUM);
  },

  async head() {
    const client = new Client(url);
    const { headers, body } = await client.request({ path: "/hello", method: "HEAD" });
    assert.equal(headers["content-length"], "6");
    assert.equal((await whole(body)).length, 0);
    const next = await client.request({ path: "/hello", method: "GET" });
    assert.equal(await next.body.text(), "hello\n");
    await client.close();
  },

  async events() {
    const { headers, body } = await request(`${url}/events`);
    assert.equal(headers["content-type"], "text/event-stream");
    const got = [];
    let text = "";
    for await (const piece of body) {
      text += piece;
      for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
        got.push(text.slice(0, end));
        text = text.slice(end + 2);
        // The next event is sent only now: one that is kept back anywhere ends the test.
        await (await request(`${url}/next`)).body.dump();
      }
    }
    assert.deepEqual(got, ["data: event 0", "data: event 1", "data: event 2"]);
  },
};

const late = () => new Promise((_, no) => setTimeout(() => no(new Error("timed out")), 10_000));
for (const [check, run] of Object.entries(CHECKS)) {
  const result = { check, ok: true, detail: "" };
  try {
    result.detail = (await Promise.race([run(), late()])) ?? "";
  } catch (error) {
    result.ok = false;
    result.detail = String(error).slice(0, 300);
  }
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
process.exit(0);
