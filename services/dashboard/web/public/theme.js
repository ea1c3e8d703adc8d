// Before the first paint, so that a light page does not flash dark. The same keys as app/appearance.ts.
try {
  const kept = JSON.parse(localStorage.getItem("tapewire.appearance") ?? "{}");
  Object.assign(document.documentElement.dataset, kept);
} catch {
  // dark, classic
}
