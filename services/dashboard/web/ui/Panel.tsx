import { useId } from "react";
import type { ReactNode } from "react";

/** A titled part of the desk, with its own scrolling. */
export function Panel({
  title,
  actions,
  note,
  className = "",
  children,
}: {
  title: string;
  actions?: ReactNode;
  /** Beside the title: how old, how many. */
  note?: ReactNode;
  className?: string;
  children: ReactNode;
}) {
  const id = useId();
  return (
    <section aria-labelledby={id} className={`bg-panel border-line flex min-h-0 min-w-0 flex-col rounded border ${className}`}>
      <header className="border-line flex min-h-9 shrink-0 flex-wrap items-center gap-x-3 gap-y-1 border-b px-3 py-1">
        <h2 id={id} className="text-strong text-sm font-semibold">
          {title}
        </h2>
        {note !== undefined && <span className="text-muted text-xs">{note}</span>}
        {actions && <div className="ml-auto flex items-center gap-1">{actions}</div>}
      </header>
      {children}
    </section>
  );
}

/** What a part says when it has nothing to show. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="flex flex-1 flex-col items-center justify-center gap-1 px-6 py-6 text-center">
      <p className="text-text font-medium">{title}</p>
      {children && <p className="text-muted max-w-sm text-xs leading-relaxed text-balance">{children}</p>}
    </div>
  );
}

/** Grey bars where rows will be. */
export function Skeleton({ rows, height = "h-5" }: { rows: number; height?: string }) {
  return (
    <div role="status" aria-label="Loading" className="flex flex-1 flex-col gap-2 overflow-hidden p-3">
      {Array.from({ length: rows }, (_, row) => (
        <div key={row} className={`bg-raised shrink-0 animate-pulse rounded ${height}`} />
      ))}
    </div>
  );
}
