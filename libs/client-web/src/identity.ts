/** Who this is to the server, and what it remembers of earlier visits. */

import { claimDevice } from "./device.ts";
import type { Device } from "./device.ts";
import { Memory } from "./memory.ts";
import type { Platform } from "./platform.ts";
import { subjectOf } from "./token.ts";

/** Where a device of a user keeps the ids that it handled. */
export function memoryKey(subject: string | null, clientId: string | null): string {
  return `tapewire:${subject ?? "-"}:${clientId ?? "-"}:handled`;
}

export class Identity {
  memory = new Memory(null, "");
  clientId: string | null = null;
  readonly #platform: Platform;
  /** undefined: one of this tab's own. */
  readonly #fixedId: string | null | undefined;
  #device: Device | null = null;
  #subject: string | null | undefined;

  constructor(platform: Platform, clientId: string | null | undefined) {
    this.#platform = platform;
    this.#fixedId = clientId;
  }

  /** Settles id and memory for the subject of `token`; a new subject gets its own. */
  async settle(token: string, stillWanted: () => boolean): Promise<void> {
    const subject = subjectOf(token);
    if (subject === this.#subject) return;
    const claimed =
      this.#fixedId === undefined ? await claimDevice(this.#platform, `tapewire:${subject ?? "-"}`) : null;
    if (!stillWanted()) return claimed?.release();
    this.#device?.release();
    this.#device = claimed;
    this.#subject = subject;
    this.clientId = this.#fixedId ?? claimed?.id ?? null;
    this.memory = new Memory(this.#platform.storage, memoryKey(subject, this.clientId));
  }

  /** Lets another tab be this device. */
  release(): void {
    this.memory.flush();
    this.#device?.release();
    this.#device = null;
    this.#subject = undefined;
  }
}
