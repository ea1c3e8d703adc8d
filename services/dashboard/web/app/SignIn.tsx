import { useState } from "react";
import { Button } from "../ui/Button.tsx";
import { Logo } from "../ui/icons.tsx";
import { identityStore } from "./identity.ts";

/** The demo's sign-in by name; elsewhere, by a token of the identity provider's. */
export function SignIn({ demo }: { demo: { readonly userId: string } | null }) {
  const [value, setValue] = useState(demo?.userId ?? "");
  const submit = (event: React.FormEvent) => {
    event.preventDefault();
    const text = value.trim();
    if (text) identityStore.set(demo ? { userId: text } : { token: text });
  };
  const field = "bg-canvas border-line text-strong w-full rounded border px-3";
  return (
    <main className="flex min-h-dvh flex-col items-center justify-center gap-6 p-4">
      <div className="text-center">
        <h1 className="text-strong flex items-center justify-center gap-2 text-2xl font-semibold tracking-tight">
          <Logo className="size-8" /> Tapewire
        </h1>
        <p className="text-muted mt-1">Sessions, prices and alerts of a trading desk, as they happen.</p>
      </div>
      <form onSubmit={submit} className="bg-panel border-line w-full max-w-sm rounded-lg border p-6 shadow-(--shadow)">
        <p className="text-muted mb-4">
          {demo ? "This is the demo, and needs no password. Whose desk is it?" : "Sign in with an access token."}
        </p>
        <label className="mb-4 block">
          <span className="mb-1 block font-medium">{demo ? "Trader" : "Access token"}</span>
          {demo ? (
            <input
              value={value}
              onChange={(event) => setValue(event.target.value)}
              className={`${field} h-9`}
              autoComplete="username"
              maxLength={64}
              required
              autoFocus
            />
          ) : (
            <textarea
              value={value}
              onChange={(event) => setValue(event.target.value)}
              className={`${field} py-2 font-mono text-xs`}
              rows={5}
              spellCheck={false}
              required
              autoFocus
            />
          )}
        </label>
        <Button type="submit" kind="primary" className="w-full">
          Sign in
        </Button>
      </form>
    </main>
  );
}
