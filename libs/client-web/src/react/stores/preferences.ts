/** How the user wants to be notified: kept by the desk, applied by the server. */

import type { WebSocketClient } from "../../client.ts";
import type { MinimumLevels, Preferences, QuietHours } from "../../contracts.gen.ts";
import { asError, onConnected } from "./connected.ts";
import { Signal } from "./frames.ts";

/** What is to change; what is left out stays. `marketDataRate: null`: every quote. */
export interface PreferencesChange {
  readonly minimumLevels?: Partial<MinimumLevels>;
  readonly muted?: Preferences["muted"];
  readonly quietHours?: Partial<QuietHours>;
  readonly marketDataRate?: number | null;
}

export interface PreferencesApi {
  preferences(): Promise<Preferences>;
  changePreferences(change: PreferencesChange): Promise<Preferences>;
}

export interface NotificationPreferences {
  /** Null until they are known. Emergencies are always on: `emergency` is for showing. */
  readonly preferences: Preferences | null;
  readonly isLoading: boolean;
  readonly isSaving: boolean;
  /** Why they could not be had or kept; null when all is well. */
  readonly error: Error | null;
}

export const NO_PREFERENCES: NotificationPreferences = Object.freeze({
  preferences: null,
  isLoading: false,
  isSaving: false,
  error: null,
});

export class PreferencesStore {
  readonly #client: WebSocketClient;
  readonly #api: PreferencesApi | null;
  readonly #signal = new Signal();
  #snapshot: NotificationPreferences = NO_PREFERENCES;
  #isAttached = false;
  #asked = 0;
  #saving = 0;

  constructor(client: WebSocketClient, api: PreferencesApi | null) {
    this.#client = client;
    this.#api = api;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#attach();
    return this.#signal.subscribe(listener);
  };

  readonly getSnapshot = (): NotificationPreferences => this.#snapshot;

  /** Asks again, also after a failure. */
  async refresh(): Promise<void> {
    if (!this.#api) return;
    this.#asked += 1;
    await this.#during(() => this.#api!.preferences()).finally(() => (this.#asked -= 1));
    this.#set({});
  }

  /** Changes some; rejects when they were not kept, and what is shown stays what is kept. */
  async save(change: PreferencesChange): Promise<void> {
    if (!this.#api) throw new Error("preferences need the desk: <TapewireProvider desk={…}>");
    this.#saving += 1;
    const error = await this.#during(() => this.#api!.changePreferences(change)).finally(() => (this.#saving -= 1));
    this.#set({});
    if (error) throw error;
  }

  #attach(): void {
    if (this.#isAttached) return;
    this.#isAttached = true;
    this.#client.onMessage("preferences_changed", ({ userId, preferences }) => {
      if (userId === this.#client.info.userId) this.#take(preferences);
    });
    onConnected(this.#client, () => void this.refresh());
  }

  async #during(call: () => Promise<Preferences>): Promise<Error | null> {
    this.#set({});
    try {
      this.#take(await call());
      this.#set({ error: null });
      return null;
    } catch (thrown) {
      const error = asError(thrown);
      this.#set({ error });
      return error;
    }
  }

  /** The higher version is newer, whichever way it came. */
  #take(preferences: Preferences): void {
    const known = this.#snapshot.preferences;
    if (!known || preferences.version > known.version) this.#set({ preferences });
  }

  #set(change: Partial<NotificationPreferences>): void {
    this.#snapshot = { ...this.#snapshot, ...change, isLoading: this.#asked > 0, isSaving: this.#saving > 0 };
    this.#signal.notify();
  }
}
