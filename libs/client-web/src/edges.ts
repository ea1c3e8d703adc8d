/** Which edge to try first, and which after it. */

/**
 * URLs in the order in which to try them, round and round. By chance: an edge that hangs is not everybody's first at each
 * start, and those whom an edge loses do not all go to the same next one.
 */
export function edges(url: string | readonly string[], shuffle: boolean, random: () => number): readonly string[] {
  const urls = typeof url === "string" ? [url] : [...url];
  for (let last = urls.length - 1; shuffle && last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1));
    [urls[last], urls[other]] = [urls[other]!, urls[last]!];
  }
  return urls;
}
