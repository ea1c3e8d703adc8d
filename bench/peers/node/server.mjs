// socket.io as its documentation starts it: io.emit for each message.
//   node server.mjs PORT CONTROL
import { createServer } from "node:http";
import { createServer as createControl } from "node:net";
import { createInterface } from "node:readline";
import { Server } from "socket.io";

const [port, control] = process.argv.slice(2).map(Number);
const http = createServer();
const io = new Server(http, { transports: ["websocket"], pingInterval: 3_600_000, perMessageDeflate: false });
io.on("connection", (socket) => socket.emit("ready"));
http.listen(port, "127.0.0.1");
createControl((socket) => {
  createInterface({ input: socket }).on("line", (line) => io.emit("message", line));
}).listen(control, "127.0.0.1");
