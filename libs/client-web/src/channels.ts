/** Which channels are wanted, by how many, and what the server was asked for on this connection. */

import type { Rejected, Subscribed, Unsubscribed } from "./contracts.gen.ts";
import { NotConnected, TapewireError } from "./errors.ts";

export interface ChannelReply {
  readonly channels: string[];
  readonly rejected: Rejected[];
}

export interface ChannelPorts {
  connected(): boolean;
  subscribe(channels: string[]): Promise<Subscribed>;
  unsubscribe(channels: string[]): Promise<Unsubscribed>;
}

interface Call {
  readonly channels: readonly string[];
  resolve(reply: ChannelReply): void;
  reject(error: unknown): void;
}

const LINGER_MS = 2000; // a channel that is let go and taken up again (a route change) is not asked for twice
const FRAME = 256; // channels in one frame: the protocol's limit
const RETRY_MS = 1000;

export class Channels {
  readonly #ports: ChannelPorts;
  /** Taken by subscribe(), until unsubscribe(). */
  readonly #own = new Set<string>();
  /** Holders by lease. */
  readonly #leases = new Map<string, number>();
  /** Asked for on this connection. */
  #asked = new Set<string>();
  /** Asked for on any connection: what a named device leaves behind on the server. */
  readonly #ever = new Set<string>();
  /** Refused for good: not asked for again until somebody new wants it. */
  readonly #refused = new Set<string>();
  readonly #listeners = new Set<(channels: readonly string[]) => void>();
  #calls: Call[] = [];
  #scheduled = false;

  constructor(ports: ChannelPorts, channels: readonly string[] = []) {
    this.#ports = ports;
    for (const channel of channels) this.#own.add(channel);
  }

  wanted(): string[] {
    return [...new Set([...this.#own, ...this.#leases.keys()])].filter((channel) => !this.#refused.has(channel));
  }

  subscribe(channels: readonly string[]): Promise<ChannelReply> {
    for (const channel of channels) {
      this.#own.add(channel);
      this.#refused.delete(channel);
    }
    const reply = new Promise<ChannelReply>((resolve, reject) => {
      this.#calls.push({ channels, resolve, reject });
    });
    reply.catch(() => {}); // whoever does not look at the reply is not told of a refusal
    this.#schedule();
    return reply;
  }

  async unsubscribe(channels: readonly string[]): Promise<{ channels: string[] }> {
    for (const channel of channels) this.#own.delete(channel);
    const gone = channels.filter((channel) => !this.#leases.has(channel) && this.#asked.delete(channel));
    if (gone.length === 0 || !this.#ports.connected()) return { channels: [...channels] };
    return this.#ports.unsubscribe(gone);
  }

  /** Calls back with channels whose events come from now on, on each connection anew. */
  onSubscribed(listener: (channels: readonly string[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Holds the channels until the returned function is called, and 2 s longer. */
  lease(channels: readonly string[]): () => void {
    for (const channel of channels) {
      const holders = this.#leases.get(channel) ?? 0;
      this.#leases.set(channel, holders + 1);
      if (holders === 0) this.#refused.delete(channel);
    }
    this.#schedule();
    let held = true;
    return () => {
      if (held) setTimeout(() => this.#release(channels), LINGER_MS);
      held = false;
    };
  }

  /** A connection is there; `channels` are those that the server knows of this device already. */
  opened(channels: readonly string[]): void {
    this.#asked = new Set();
    this.#flush(channels.filter((channel) => this.#ever.has(channel) && !this.#isWanted(channel)));
  }

  lost(): void {
    this.#asked = new Set();
  }

  /** Nobody waits for a connection any more. */
  cancel(): void {
    for (const call of this.#calls.splice(0)) call.reject(new NotConnected("disconnected"));
  }

  #isWanted(channel: string): boolean {
    return this.#own.has(channel) || this.#leases.has(channel);
  }

  #release(channels: readonly string[]): void {
    for (const channel of channels) {
      const holders = (this.#leases.get(channel) ?? 1) - 1;
      if (holders > 0) this.#leases.set(channel, holders);
      else this.#leases.delete(channel);
    }
    this.#schedule();
  }

  /** One frame for all that is asked in this turn. */
  #schedule(delayMs?: number): void {
    if (delayMs !== undefined) {
      setTimeout(() => this.#schedule(), delayMs);
    } else if (!this.#scheduled) {
      this.#scheduled = true;
      queueMicrotask(() => {
        this.#scheduled = false;
        this.#flush([...this.#asked].filter((channel) => !this.#isWanted(channel)));
      });
    }
  }

  #flush(unwanted: readonly string[]): void {
    if (!this.#ports.connected()) return;
    if (unwanted.length > 0) {
      for (const channel of unwanted) this.#asked.delete(channel);
      this.#ports.unsubscribe([...unwanted]).catch(() => {});
    }
    const calls = this.#calls.splice(0);
    const called = calls.flatMap((call) => call.channels);
    const missing = this.wanted().filter((channel) => !this.#asked.has(channel));
    const channels = [...new Set([...called, ...missing])];
    for (let start = 0; start < channels.length; start += FRAME) {
      void this.#ask(channels.slice(start, start + FRAME), calls.splice(0));
    }
  }

  async #ask(channels: string[], calls: Call[]): Promise<void> {
    for (const channel of channels) {
      this.#asked.add(channel);
      this.#ever.add(channel);
    }
    try {
      const reply = await this.#ports.subscribe(channels);
      const rejected = reply.rejected ?? [];
      for (const { channel } of rejected) this.#refuse(channel);
      for (const listener of this.#listeners) listener(reply.channels);
      for (const call of calls) {
        const mine = new Set(call.channels);
        call.resolve({
          channels: reply.channels.filter((channel) => mine.has(channel)),
          rejected: rejected.filter(({ channel }) => mine.has(channel)),
        });
      }
    } catch (error) {
      if (!this.#ports.connected() || (error instanceof TapewireError && error.code === "connection_lost")) {
        this.#calls.unshift(...calls); // asked again, with all that is wanted, on the next connection
        return;
      }
      const again = error instanceof TapewireError && error.retryable;
      for (const channel of channels) {
        if (again) this.#asked.delete(channel);
        else this.#refuse(channel);
      }
      if (again) this.#schedule(error.retryAfterMs ?? RETRY_MS);
      for (const call of calls) call.reject(error);
    }
  }

  #refuse(channel: string): void {
    this.#refused.add(channel);
    this.#own.delete(channel);
    this.#asked.delete(channel);
  }
}
