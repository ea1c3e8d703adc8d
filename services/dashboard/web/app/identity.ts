/** Who is signed in, and the tokens that prove it. */

import type { TokenRequest } from "@tapewire/client";

/** Signed in to the demo by name, or by a token from elsewhere. */
export type Identity = { readonly userId: string } | { readonly token: string };

const KEY = "tapewire.identity";
const LEEWAY_MS = 30_000; // a token in use must outlive a slow request

const listeners = new Set<() => void>();
let current = read();

function read(): Identity | null {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY) ?? "null") as Identity | null;
  } catch {
    return null;
  }
}

export const identityStore = {
  get: (): Identity | null => current,
  set(identity: Identity | null): void {
    current = identity;
    sessionStorage.removeItem(KEY);
    localStorage.removeItem(KEY);
    // A name may stay for other tabs and for tomorrow; a token goes with the tab that it was given to.
    const storage = identity && "token" in identity ? sessionStorage : localStorage;
    if (identity) storage.setItem(KEY, JSON.stringify(identity));
    for (const listener of listeners) listener();
  },
  subscribe(listener: () => void): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};

/** No token will come of asking again. */
export class SignInFailed extends Error {
  readonly retryable = false;
}

/** Keeps one token and fetches the next before it ends. */
export class Tokens {
  readonly #identity: Identity;
  #kept: { token: string; until: number } | null = null;
  #flight: Promise<string> | null = null;

  constructor(identity: Identity) {
    this.#identity = identity;
  }

  /** A token to use now; a fresh one when the old one is said to be of no use. */
  get(reason: TokenRequest["reason"] | "http" | "rejected" = "http"): Promise<string> {
    if ("token" in this.#identity) return Promise.resolve(this.#identity.token);
    const fresh = reason === "expired" || reason === "refresh" || reason === "rejected";
    if (!fresh && this.#kept && this.#kept.until - LEEWAY_MS > Date.now()) return Promise.resolve(this.#kept.token);
    this.#flight ??= this.#fetch(this.#identity.userId).finally(() => {
      this.#flight = null;
    });
    return this.#flight;
  }

  async #fetch(userId: string): Promise<string> {
    const response = await fetch("/v1/demo/token", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ userId }),
    });
    if (response.status >= 400 && response.status < 500) {
      const body = (await response.json().catch(() => ({}))) as { message?: string };
      throw new SignInFailed(body.message ?? `signing in was refused (${response.status})`);
    }
    if (!response.ok) throw new Error(`no token: ${response.status}`);
    const { token, expiresIn } = (await response.json()) as { token: string; expiresIn: number };
    this.#kept = { token, until: Date.now() + expiresIn * 1000 };
    return token;
  }
}
