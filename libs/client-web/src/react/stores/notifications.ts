/** Alerts and notices: what arrives, what history holds, what was read and what was acknowledged. */

import type { WebSocketClient } from "../../client.ts";
import type { NotificationRead } from "../../contracts.gen.ts";
import type { Message } from "../../messages.ts";
import { FrameBatch, Signal } from "./frames.ts";
import { asError, onConnected } from "./connected.ts";
import { alarmOf, before, isCritical, notificationOf } from "./notification.ts";
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
  /**
   * Archives these, and with `all` whatever is not critical. Left out: `clearAll` clears this device only.
   */
  archive?(ids: readonly string[], all: boolean): Promise<number>;
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

const KEPT = 500; // in memory: screens of them; what is older is history, and fetched when asked for
const REMEMBERED = 5000; // archived ids; what comes late was on its way, not older than thousands
const RECOUNT_MS = 2000; // history has a new one a moment after we do; of a burst one question is enough

export class NotificationStore {
  readonly #client: WebSocketClient;
  readonly #api: NotificationApi | null;
  readonly #signal = new Signal();
  readonly #batch = new FrameBatch(() => this.#commit());
  #items = new Map<string, Notification>();
  #archived = new Set<string>();
  /** What history has shown: when a later look does not find it, it was archived meanwhile. */
  #fromHistory = new Set<string>();
  /** Goes up with every mark: an answer that was asked for before is out of date. */
  #marks = 0;
  /** The server's last word on the count, and what has come since. */
  #unread = 0;
  /** Undefined until the first page came. */
  #nextCursor: string | null | undefined;
  #loading = 0;
  #error: Error | null = null;
  #snapshot: Notifications = NO_NOTIFICATIONS;
  #isAttached = false;
  /** The newest that the server's count knows of. */
  #countedThrough = 0;
  /** How many are held before history is begun anew; what was fetched on purpose stays. */
  #bound = KEPT;
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
    const unread = this.#tellings(ids).filter((id) => this.#items.get(id)?.isRead === false);
    if (unread.length === 0) return Promise.resolve();
    this.#read(unread);
    return this.#tell((api) => api.markRead(unread));
  }

  markAllAsRead(): Promise<void> {
    this.#read([...this.#items.keys()]);
    this.#unread = 0;
    return this.#tell((api) => api.markAllRead());
  }

  /** A person says that they have seen an alert that wants it, however often it was told. It is read, then, too. */
  acknowledge(id: string): Promise<void> {
    const told = this.#tellings([id]).filter((other) => other === id || this.#items.get(other)?.ack === "open");
    this.#client.ack(...told);
    this.#acknowledged(told);
    return this.markAsRead(id);
  }

  /** Archives history, but for alerts that nobody acknowledged: those stay, here and everywhere. */
  clearAll(): Promise<void> {
    const settled = [...this.#items.values()].filter(({ ack }) => ack !== "open");
    if (settled.length === 0 && typeof this.#nextCursor !== "string") return Promise.resolve();
    this.#archive(settled.map(({ id }) => id));
    const critical = settled.filter(isCritical).map(({ id }) => id);
    return this.#tell((api) => api.archive?.(critical, true) ?? api.markRead(settled.map(({ id }) => id)));
  }

  fetchMore(): Promise<void> {
    return typeof this.#nextCursor !== "string" || this.#loading > 0 ? Promise.resolve() : this.#load(this.#nextCursor);
  }

  /** Loads the newest page again. */
  refresh(): Promise<void> {
    return this.#load(null);
  }

  /** These, and what else is here of their alarms. */
  #tellings(ids: readonly string[]): string[] {
    const named = new Set(ids);
    const alarms = new Set(ids.flatMap((id) => this.#items.get(id) ?? []).map(alarmOf));
    for (const item of this.#items.values()) if (alarms.has(alarmOf(item))) named.add(item.id);
    return [...named];
  }

  #attach(): void {
    if (this.#isAttached) return;
    this.#isAttached = true;
    // Every message that wants an ack is shown here, so a person's word is what acknowledges it.
    this.#client.onMessage("*", (message) => this.#take(message as Message), { manualAck: true });
    onConnected(this.#client, () => void this.#load(null, true)); // what was missed, and the count
  }

  #take(message: Message): void {
    if (message.type === "acked") return this.#acknowledged(message.ids);
    if (message.type === "notification_read") return this.#readElsewhere(message);
    const notification = notificationOf(message);
    if (!notification) return;
    // Open, whatever was archived: another device took it for settled, or history came first.
    if (notification.ack === "open") this.#archived.delete(notification.id);
    if (this.#archived.has(notification.id)) return;
    const known = this.#items.get(notification.id);
    // One that waited for us is in the server's count already.
    if (!known && Date.parse(notification.timestamp) > this.#countedThrough) this.#unread += 1;
    this.#items.set(notification.id, { ...notification, isRead: known?.isRead ?? false });
    this.#batch.schedule();
    if (!known) this.#recountSoon();
  }

  #readElsewhere({ userId, ids = [], all, archived, unreadCount }: NotificationRead): void {
    if (userId !== this.#client.info.userId) return; // of a user that this one supervises
    const items = all ? [...this.#items.values()].filter((item) => !archived || !isCritical(item)) : [];
    const marked = [...ids, ...items.map(({ id }) => id)];
    if (archived) this.#archive(marked);
    else this.#read(marked);
    this.#marks += 1;
    this.#unread = unreadCount;
    this.#batch.schedule();
    if (all) this.#recountSoon(); // what has just come may be newer than the mark
  }

  #recountSoon(): void {
    if (this.#api) this.#recount ??= setTimeout(() => void this.#load(null, this.#items.size > this.#bound), RECOUNT_MS);
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
    for (const id of this.#archived) {
      if (this.#archived.size <= REMEMBERED) break;
      this.#archived.delete(id);
    }
    this.#batch.schedule();
  }

  /** `anew`: as after an absence, when marks of other devices were missed; or when too many are held. */
  async #load(cursor: string | null, anew = false): Promise<void> {
    if (!this.#api) return;
    if (this.#recount !== null) clearTimeout(this.#recount);
    this.#recount = null;
    this.#loading += 1;
    this.#batch.schedule();
    const marks = this.#marks;
    try {
      const page = await this.#api.list(cursor);
      if (marks === this.#marks) this.#turn(page, cursor, anew);
      else if (cursor === null) void this.#load(null, anew); // marked meanwhile: what came is older
      this.#error = null;
    } catch (error) {
      this.#error = asError(error);
    } finally {
      this.#loading -= 1;
      this.#batch.schedule();
    }
  }

  #turn(page: NotificationPage, cursor: string | null, anew: boolean): void {
    const shown = new Set(page.items.map(({ id }) => id));
    if (anew) {
      // What is older than a page that has a next one comes again with that.
      const oldest = page.nextCursor === null ? -Infinity : Date.parse(page.items.at(-1)?.timestamp ?? "");
      for (const { id, ack, timestamp } of this.#items.values()) {
        if (shown.has(id) || ack === "open") continue;
        if (this.#fromHistory.has(id) || Date.parse(timestamp) < oldest) this.#items.delete(id);
      }
      this.#fromHistory.clear();
      this.#nextCursor = undefined;
      this.#bound = KEPT;
    }
    if (cursor !== null) this.#bound += page.items.length;
    for (const item of page.items) {
      this.#archived.delete(item.id); // the desk should know
      this.#fromHistory.add(item.id);
      const known = this.#items.get(item.id);
      // An alert that came over the socket knows better whether it is open: this device holds it.
      this.#items.set(item.id, known?.ack === "open" ? { ...item, ack: "open" } : item);
    }
    if (cursor !== null || this.#nextCursor === undefined) this.#nextCursor = page.nextCursor;
    this.#unread = page.unreadCount;
    const newest = page.items[0] ? Date.parse(page.items[0].timestamp) : 0;
    this.#countedThrough = Math.max(this.#countedThrough, newest);
  }

  async #tell(call: (api: NotificationApi) => Promise<number>): Promise<void> {
    if (!this.#api) return;
    this.#marks += 1;
    try {
      this.#unread = await call(this.#api);
      this.#error = null;
    } catch (error) {
      this.#error = asError(error);
    }
    this.#marks += 1;
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
      hasMore: typeof this.#nextCursor === "string",
      isLoading: this.#loading > 0,
      error: this.#error,
    };
    this.#signal.notify();
  }
}

