/** Which device this is: an id for each tab, the same again after a reload or a restart. */

import type { Platform } from "./platform.ts";

export interface Device {
  readonly id: string;
  /** Lets another tab have the id. */
  release(): void;
}

/**
 * Claims an id for this tab. The ids of a browser are a pool in its storage; a tab takes the first
 * that no other tab holds (Web Locks tell), so a reload finds its own tray and two tabs never share
 * one, which would make the server end the older connection (4506). Without Web Locks the id lives
 * in the tab's own storage.
 */
export async function claimDevice(platform: Platform, namespace: string): Promise<Device | null> {
  const { storage, tabStorage, locks } = platform;
  if (!storage) return null;
  const key = `${namespace}:devices`;
  if (!locks) {
    const id = tabStorage?.getItem(key) ?? platform.newId();
    tabStorage?.setItem(key, id);
    return { id, release() {} };
  }
  for (const id of pool(storage.getItem(key))) {
    const release = await claim(locks, `${key}:${id}`);
    if (release) return { id, release };
  }
  const id = platform.newId();
  const release = await claim(locks, `${key}:${id}`);
  try {
    storage.setItem(key, [...pool(storage.getItem(key)), id].join(" "));
  } catch {
    /* a full storage: the id lasts as long as the tab */
  }
  return { id, release: release ?? (() => {}) };
}

function pool(text: string | null): string[] {
  return text ? text.split(" ") : [];
}

/** Resolves with the lock's release once it is ours, or with null when another holds it. */
function claim(locks: Pick<LockManager, "request">, name: string): Promise<(() => void) | null> {
  return new Promise((resolve) => {
    locks
      .request(name, { ifAvailable: true }, (lock) => {
        if (!lock) return resolve(null);
        return new Promise<void>((release) => resolve(release));
      })
      .catch(() => resolve(() => {})); // no locks after all (sandboxed frame): as good as ours
  });
}
