/** What every part of the desk can reach: where the services are, and the token to them. */

import { createContext, useContext } from "react";
import type { OwnStops } from "../stop/own.ts";
import type { Config } from "./config.ts";
import type { Tokens } from "./identity.ts";

export interface Desk {
  readonly config: Config;
  readonly tokens: Tokens;
  readonly ownStops: OwnStops;
  signOut(): void;
}

export const DeskContext = createContext<Desk | null>(null);

export function useDesk(): Desk {
  const desk = useContext(DeskContext);
  if (!desk) throw new Error("useDesk needs a <DeskContext> above it");
  return desk;
}
