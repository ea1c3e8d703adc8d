/** Where the services are, from the server that serves this page. */

export interface Config {
  /** HTTP bases; an empty one is this page's own origin. */
  readonly edge: readonly string[];
  readonly desk: string;
  readonly market: string;
  /** Who the demo signs in as; null: bring a token. */
  readonly demo: { readonly userId: string } | null;
}

export async function loadConfig(signal?: AbortSignal): Promise<Config> {
  const response = await fetch("/config.json", { cache: "no-store", ...(signal ? { signal } : {}) });
  if (!response.ok) throw new Error(`/config.json answered ${response.status}`);
  const { edge = [""], desk = "", market = "", demo = null } = (await response.json()) as Partial<Config>;
  return { edge, desk, market, demo };
}

export function socketUrls({ edge }: Config): string[] {
  return edge.map((base) => `${base}/ws`);
}
