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
  const field = "bg-canvas border-line focus:border-link text-strong w-full rounded border px-3";
  return (
    <main className="flex min-h-dvh items-center justify-center p-4">
      <form onSubmit={submit} className="bg-panel border-line w-full max-w-sm rounded-lg border p-6">
        <h1 className="text-strong mb-1 flex items-center gap-2 text-lg font-semibold">
          <Logo className="size-6" /> Tapewire
        </h1>
        <p className="text-muted mb-5">
          {demo ? "The demo needs no password: choose whose desk to sit at." : "Sign in with an access token."}
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
