/** A fake Tapewire server for your own tests: no network, no timers, deterministic. */

export { FakeServer } from "./server.ts";
export type { FakeServerOptions } from "./server.ts";
export { FakeConnection } from "./connection.ts";
export type { Handshake } from "./connection.ts";
