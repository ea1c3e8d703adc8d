/** Alerts and notices: what arrives, what history holds, what was read and what was acknowledged. */

import type { WebSocketClient } from "../../client.ts";
import type { NotificationRead } from "../../contracts.gen.ts";
import type { Message } from "../../messages.ts";
import { FrameBatch, Signal } from "./frames.ts";
import { before, notificationOf } from "./notification.ts";
import type { Notification } from "./notification.ts";

/** A page of history, newest first. */
export interface NotificationPage {
  readonly items: readonly Notification[];
  /** What to ask `list` for next; null at the end. */
  readonly nextCursor: string | null;
  readonly unreadCount: number;
}

/** Where history and read marks live. Each change answers with the unread count after it. */
export interface NotificationApi {
  list(cursor: string | null): Promise<NotificationPage>;
  markRead(ids: readonly string[]): Promise<number>;
  markAllRead(): Promise<number>;
  /** Left out: `clearAll` clears this device only. */
  archive?(ids: readonly string[]): Promise<number>;
}

export interface Notifications {
  /** Newest first. */
  readonly items: readonly Notification[];
  /** The server's absolute count where there is history, else what is unread among `items`. */
  readonly unreadCount: number;
  /** Whether `fetchMore` has more. */
  readonly hasMore: boolean;
  readonly isLoading: boolean;
  /** Why history could not be had, or a mark not be kept; null when all is well. */
  readonly error: Error | null;
}

export const NO_NOTIFICATIONS: Notifications = Object.freeze({
  items: [],
  unreadCount: 0,
  hasMore: false,
  isLoading: false,
  error: null,
});

const KEPT = 500; // in memory, without history to fetch from
const RECOUNT_MS = 2000; // history has a new one a moment after we do; of a burst one question is enough

export class NotificationStore {
  readonly #client: WebSocketClient;
  readonly #api: NotificationApi | null;
  readonly #signal = new Signal();
  readonly #batch = new FrameBatch(() => this.#commit());
  #items = new Map<string, Notification>();
  #archived = new Set<string>();
  /** The server's last word on the count, and what has come since. */
  #unread = 0;
  #nextCursor: string | null = null;
  #loading = 0;
  #error: Error | null = null;
  #snapshot: Notifications = NO_NOTIFICATIONS;
  #isAttached = false;
  #wasConnected = false;
  /** The newest that the server's count knows of. */
  #countedThrough = 0;
  #recount: ReturnType<typeof setTimeout> | null = null;

  constructor(client: WebSocketClient, api: NotificationApi | null) {
    this.#client = client;
    this.#api = api;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#attach();
    const release = this.#client.lease("system");
    const stop = this.#signal.subscribe(listener);
    return () => {
      stop();
      release();
    };
  };

  readonly getSnapshot = (): Notifications => this.#snapshot;

  markAsRead(...ids: string[]): Promise<void> {
    const unread = ids.filter((id) => this.#items.get(id)?.isRead === false);
    if (unread.length === 0) return Promise.resolve();
    this.#read(unread);
    return this.#tell((api) => api.markRead(unread));
  }

  markAllAsRead(): Promise<void> {
    this.#read([...this.#items.keys()]);
    this.#unread = 0;
    return this.#tell((api) => api.markAllRead());
  }

  /** A person says that they have seen an alert that wants it. It is read, then, too. */
  acknowledge(id: string): Promise<void> {
    this.#client.ack(id);
    this.#acknowledged([id]);
    return this.markAsRead(id);
  }

  /** Archives what is shown, but for alerts that nobody acknowledged. */
  clearAll(): Promise<void> {
    const ids = [...this.#items.values()].filter(({ ack }) => ack !== "open").map(({ id }) => id);
    this.#archive(ids);
    return ids.length === 0 ? Promise.resolve() : this.#tell((api) => api.archive?.(ids) ?? api.markRead(ids));
  }

  fetchMore(): Promise<void> {
    return this.#nextCursor === null || this.#loading > 0 ? Promise.resolve() : this.#load(this.#nextCursor);
  }

  /** Loads the newest page again. */
  refresh(): Promise<void> {
    return this.#load(null);
  }

  #attach(): void {
    if (this.#isAttached) return;
    this.#isAttached = true;
    // Every message that wants an ack is shown here, so a person's word is what acknowledges it.
    this.#client.onMessage("*", (message) => this.#take(message as Message), { manualAck: true });
    this.#client.onStateChange(() => {
      const isConnected = this.#client.info.state === "connected";
      if (isConnected && !this.#wasConnected) void this.refresh(); // what was missed, and the count
      this.#wasConnected = isConnected;
    });
    if (this.#client.info.state === "connected") {
      this.#wasConnected = true;
      void this.refresh();
    }
  }

  #take(message: Message): void {
    if (message.type === "acked") return this.#acknowledged(message.ids);
    if (message.type === "notification_read") return this.#readElsewhere(message);
    const notification = notificationOf(message);
    if (!notification || this.#archived.has(notification.id)) return;
    const known = this.#items.get(notification.id);
    // One that waited for us is in the server's count already.
    if (!known && Date.parse(notification.timestamp) > this.#countedThrough) this.#unread += 1;
    this.#items.set(notification.id, { ...notification, isRead: known?.isRead ?? false });
    this.#batch.schedule();
    if (!known && this.#api) this.#recount ??= setTimeout(() => void this.refresh(), RECOUNT_MS);
  }

  #readElsewhere({ ids = [], all, archived, unreadCount }: NotificationRead): void {
    if (archived) this.#archive(all ? [...this.#items.keys()] : ids);
    else this.#read(all ? [...this.#items.keys()] : ids);
    this.#unread = unreadCount;
    this.#batch.schedule();
  }

  #read(ids: readonly string[]): void {
    for (const id of ids) {
      const item = this.#items.get(id);
      if (!item || item.isRead) continue;
      this.#items.set(id, { ...item, isRead: true });
      this.#unread = Math.max(0, this.#unread - 1);
    }
    this.#batch.schedule();
  }

  #acknowledged(ids: readonly string[]): void {
    for (const id of ids) {
      const item = this.#items.get(id);
      if (item?.ack === "open") this.#items.set(id, { ...item, ack: "acknowledged" });
    }
    this.#batch.schedule();
  }

  #archive(ids: readonly string[]): void {
    for (const id of ids) {
      if (this.#items.get(id)?.ack === "open") continue;
      this.#archived.add(id);
      this.#items.delete(id);
    }
    this.#batch.schedule();
  }

  async #load(cursor: string | null): Promise<void> {
    if (!this.#api) return;
    if (this.#recount !== null) clearTimeout(this.#recount);
    this.#recount = null;
    this.#loading += 1;
    this.#batch.schedule();
    try {
      const page = await this.#api.list(cursor);
      for (const item of page.items) {
        if (this.#archived.has(item.id)) continue;
        const known = this.#items.get(item.id);
        // An alert that came over the socket knows better whether it is open: this device holds it.
        this.#items.set(item.id, known?.ack === "open" ? { ...item, ack: "open" } : item);
      }
      if (cursor !== null || this.#nextCursor === null) this.#nextCursor = page.nextCursor;
      this.#unread = page.unreadCount;
      const newest = page.items[0] ? Date.parse(page.items[0].timestamp) : 0;
      this.#countedThrough = Math.max(this.#countedThrough, newest);
      this.#error = null;
    } catch (error) {
      this.#error = error instanceof Error ? error : new Error(String(error));
    } finally {
      this.#loading -= 1;
      this.#batch.schedule();
    }
  }

  async #tell(call: (api: NotificationApi) => Promise<number>): Promise<void> {
    if (!this.#api) return;
    try {
      this.#unread = await call(this.#api);
      this.#error = null;
    } catch (error) {
      this.#error = error instanceof Error ? error : new Error(String(error));
    }
    this.#batch.schedule();
  }

  #commit(): void {
    let items = [...this.#items.values()].sort(before);
    if (items.length > KEPT && !this.#api) {
      items = items.filter(({ ack }, index) => index < KEPT || ack === "open");
      this.#items = new Map(items.map((item) => [item.id, item]));
    }
    this.#snapshot = {
      items,
      unreadCount: this.#unread,
      hasMore: this.#nextCursor !== null,
      isLoading: this.#loading > 0,
      error: this.#error,
    };
    this.#signal.notify();
  }
}

