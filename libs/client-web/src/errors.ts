/**
 * What can go wrong with a request:
 *
 *     TapewireError
 *     ├── RequestRefused   the server said no (`code` is the protocol's; see `retryable`)
 *     ├── NotConnected     not sent: there is no connection
 *     ├── ConnectionLost   sent, and the connection ended before the answer: it may have been carried out
 *     └── Timeout          sent, and no answer in time: it may have been carried out
 */
export class TapewireError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly retryable = false,
    readonly retryAfterMs: number | null = null,
  ) {
    super(message);
    this.name = new.target.name;
  }
}

export class RequestRefused extends TapewireError {}

export class NotConnected extends TapewireError {
  constructor(message = "there is no connection") {
    super("not_connected", message, true);
  }
}

export class ConnectionLost extends TapewireError {
  constructor() {
    super("connection_lost", "the connection was lost before the answer", true);
  }
}

export class Timeout extends TapewireError {
  constructor() {
    super("timeout", "no answer in time", true);
  }
}
