/// <reference types="node" />
/** For programs in Node: where handled ids outlive the process. */

import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import type { KeyValueStore } from "../platform.ts";

/**
 * A `storage` for one client in one process: a small JSON file, replaced whole by renaming, so a kill leaves the
 * old one or the new. It survives the process; with the machine the last ids may go, and their alerts
 * are handled again.
 *
 * @throws the file is there and is some other file, or cannot be read.
 */
export function fileStorage(path: string): KeyValueStore {
  const kept = new Map(existsSync(path) ? entries(path) : []);
  const keep = () => {
    writeFileSync(`${path}.new`, JSON.stringify(Object.fromEntries(kept)));
    renameSync(`${path}.new`, path);
  };
  return {
    getItem: (key) => kept.get(key) ?? null,
    setItem(key, value) {
      kept.set(key, value);
      keep();
    },
    removeItem(key) {
      if (kept.delete(key)) keep();
    },
  };
}

function entries(path: string): [string, string][] {
  try {
    const found = Object.entries(JSON.parse(readFileSync(path, "utf8")) as object);
    if (found.every((entry): entry is [string, string] => typeof entry[1] === "string")) return found;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new Error(`${path} is some other file: it was left alone`);
}
