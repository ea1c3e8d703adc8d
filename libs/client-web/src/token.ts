/** The one way to a token. */

export interface TokenRequest {
  /** Why one is needed: first connection, a later one, before the old one expires, after it did or was revoked. */
  readonly reason: "connect" | "reconnect" | "refresh" | "expired";
  /** Aborted when the client no longer wants it. */
  readonly signal: AbortSignal;
}

export type GetToken = (request: TokenRequest) => string | Promise<string>;

/** Asks `getToken`, at most once at a time: whoever asks meanwhile gets the same answer. */
export class TokenSource {
  readonly #getToken: GetToken;
  #flight: Promise<string> | null = null;
  #abort = new AbortController();

  constructor(getToken: GetToken) {
    this.#getToken = getToken;
  }

  get(reason: TokenRequest["reason"]): Promise<string> {
    this.#flight ??= this.#ask(reason);
    return this.#flight;
  }

  cancel(): void {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#flight = null;
  }

  async #ask(reason: TokenRequest["reason"]): Promise<string> {
    const { signal } = this.#abort;
    try {
      // Not in the caller's turn: a getToken that calls back into the client finds it consistent.
      await Promise.resolve();
      return await this.#getToken({ reason, signal });
    } finally {
      if (!signal.aborted) this.#flight = null;
    }
  }
}

/** The `sub` of a JWT, unverified: it only names local storage. Null for an opaque token. */
export function subjectOf(token: string): string | null {
  try {
    const payload = token.split(".")[1]!.replace(/-/g, "+").replace(/_/g, "/");
    const { sub } = JSON.parse(atob(payload)) as { sub?: unknown };
    return typeof sub === "string" ? sub : null;
  } catch {
    return null;
  }
}
