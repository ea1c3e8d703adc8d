/** The parts that preferences are made of: sections, rows with a label, choices. */

import { useId } from "react";
import type { ReactNode } from "react";

export const CONTROL = "bg-raised border-line text-strong h-8 rounded border px-2 disabled:opacity-60";

export function Section({ title, note, children }: { title: string; note?: string; children: ReactNode }) {
  const id = useId();
  return (
    <section aria-labelledby={id} className="border-line border-b py-4 last:border-b-0">
      <h3 id={id} className="text-strong font-semibold">
        {title}
      </h3>
      {note && <p className="text-muted mt-0.5 mb-2 text-xs">{note}</p>}
      {children}
    </section>
  );
}

/** A label at the left and its control at the right. */
export function Row({ label, children }: { label: string; children: ReactNode }) {
  return (
    <label className="flex min-h-9 items-center justify-between gap-4">
      <span>{label}</span>
      {children}
    </label>
  );
}

export function Select<T extends string>({
  value,
  options,
  onChange,
}: {
  value: T;
  options: readonly (readonly [T, string])[];
  onChange: (value: T) => void;
}) {
  return (
    <select className={CONTROL} value={value} onChange={({ target }) => onChange(target.value as T)}>
      {options.map(([option, label]) => (
        <option key={option} value={option}>
          {label}
        </option>
      ))}
    </select>
  );
}

export function Choices<T extends string>({
  legend,
  options,
  value,
  onChange,
}: {
  legend: string;
  options: readonly (readonly [T, ReactNode])[];
  value: T;
  onChange: (value: T) => void;
}) {
  const name = useId();
  return (
    <fieldset className="mt-2">
      <legend className="text-muted mb-1 text-xs">{legend}</legend>
      <div className="flex flex-wrap gap-x-5">
        {options.map(([option, label]) => (
          <label key={option} className="hover:text-strong flex h-8 cursor-pointer items-center gap-2">
            <input type="radio" name={name} className="accent-link size-4" checked={value === option} onChange={() => onChange(option)} />
            {label}
          </label>
        ))}
      </div>
    </fieldset>
  );
}
