/**
 * `node node_device.mjs JSON`: the TypeScript SDK until SIGTERM. One JSON list a line on stdout:
 * what happened, to what, when (seconds of the machine's monotonic clock), `redelivered`.
 */
import { pathToFileURL } from "node:url";
import WebSocket from "ws";

const told = JSON.parse(process.argv[2]);
const load = (path) => import(pathToFileURL(`${told.package}/${path}`).href);
const { WebSocketClient } = await load("index.js");
const { fileStorage } = await load("node/index.js");

const now = () => Number(process.hrtime.bigint()) / 1e9;
const say = (what, detail, redelivered = false) =>
  process.stdout.write(`${JSON.stringify([what, detail, now(), redelivered])}\n`);

const client = new WebSocketClient({
  url: told.urls,
  shuffle: false,
  getToken: () => process.env.TAPEWIRE_TOKEN,
  clientId: told.client,
  ...(told.own ? { inbox: "own" } : {}),
  storage: fileStorage(told.store),
  backoff: { firstMs: 100, maxMs: 1000 },
  WebSocket,
  fetch,
  fallback: told.way === "sse" ? { after: 0 } : {},
});
client.onMessage("risk_alert", (alert) => say("handled", alert.id, alert.redelivered === true));
client.onStateChange(() => say("state", `${client.info.state} ${client.info.transport ?? ""}`.trim()));
process.once("SIGTERM", () => {
  client.disconnect();
  // What was said is written, and the goodbye gets its time; the process may not hang on either.
  setTimeout(() => process.exit(0), 300);
});
client.connect().then(
  () => say("connected", ""),
  (error) => say("refused", String(error)),
);
