// A WebSocket server for the compatibility tests, made with Node's ws: see server.py, it is its twin.

import http from "node:http";
import { createRequire } from "node:module";

const { WebSocketServer } = createRequire(`${process.env.COMPAT_NODE}/`)("ws");

const MESSAGE_BYTES_MAX = 32 * 1024 * 1024;
const REFUSAL = "not you\n";

const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

const server = http.createServer((request, response) => {
  response.writeHead(426).end("a WebSocket, please\n");
});
const sockets = new WebSocketServer({
  noServer: true,
  maxPayload: MESSAGE_BYTES_MAX,
  perMessageDeflate: { threshold: 0 },
  handleProtocols: (offered) => (offered.has("chat.v1") ? "chat.v1" : false),
});

server.on("upgrade", (request, socket, head) => {
  if (new URL(request.url, "http://a").pathname === "/refuse") {
    // Whoever asked may be gone before it has read this.
    socket.on("error", () => {});
    socket.end(
      `HTTP/1.1 403 Forbidden\r\ncontent-length: ${REFUSAL.length}\r\nconnection: close\r\n\r\n${REFUSAL}`,
    );
    return;
  }
  sockets.handleUpgrade(request, socket, head, (socket) => handle(socket, request));
});

function handle(socket, request) {
  const url = new URL(request.url, "http://a");
  socket.on("message", (data, binary) => {
    switch (url.pathname) {
      case "/fragments":
        for (let at = 0; at < data.length; at += 1000) {
          socket.send(data.subarray(at, at + 1000), { binary, fin: at + 1000 >= data.length });
        }
        break;
      case "/close":
        socket.close(4001, "server says so");
        break;
      case "/ping":
        socket.once("pong", (what) => socket.send(String(what) === "are you there" ? "ponged" : "?"));
        socket.ping("are you there");
        break;
      case "/big":
        socket.send(Buffer.alloc(Number(data)));
        break;
      default:
        socket.send(data, { binary });
    }
  });
  socket.on("error", (error) => say({ error: String(error) }));
  socket.on("close", (code, reason) => {
    const id = url.searchParams.get("id");
    if (id !== null) say({ closed: id, code, reason: String(reason) });
  });
}

server.listen(0, "127.0.0.1", 2048, () => say({ port: server.address().port }));
// The parent's end of the pipe closes when it is done, or gone.
process.stdin.resume().on("end", () => process.exit(0));
