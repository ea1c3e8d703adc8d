/** How a user wants to be notified: from the desk, and whenever it changes on any device. */

import type { Preferences } from "@tapewire/client";
import { useTapewire } from "@tapewire/client/react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { useDesk } from "../app/desk.ts";
import { requestJson } from "../app/http.ts";

const KEY = ["preferences"];

export function usePreferences() {
  const { config, tokens } = useDesk();
  const { client } = useTapewire();
  const queries = useQueryClient();
  const url = `${config.desk}/v1/preferences`;
  const { data, error, refetch } = useQuery({
    queryKey: KEY,
    queryFn: () => requestJson<Preferences>(tokens, "GET", url),
  });
  useEffect(
    () => client.onMessage("preferences_changed", ({ preferences }) => void queries.setQueryData(KEY, preferences)),
    [client, queries],
  );
  return {
    preferences: data ?? null,
    error,
    retry: () => void refetch(),
    async save(wanted: Preferences): Promise<void> {
      queries.setQueryData(KEY, await requestJson<Preferences>(tokens, "PUT", url, wanted));
    },
  };
}
