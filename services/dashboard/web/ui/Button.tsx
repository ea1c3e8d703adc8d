import type { ComponentProps } from "react";

type Kind = "plain" | "primary" | "danger" | "quiet";

const KINDS: Record<Kind, string> = {
  plain: "bg-raised border-line hover:border-muted text-strong",
  primary: "bg-[#2f62d9] border-transparent text-white hover:bg-[#2856c4]",
  danger: "bg-emergency border-transparent text-white hover:bg-[#cf2323]",
  quiet: "border-transparent text-text hover:bg-raised hover:text-strong",
};

export function Button({
  kind = "plain",
  size = "md",
  className = "",
  ...rest
}: ComponentProps<"button"> & { kind?: Kind; size?: "sm" | "md" }) {
  return (
    <button
      type="button"
      {...rest}
      className={`inline-flex items-center justify-center gap-1.5 rounded border font-medium whitespace-nowrap transition-colors disabled:cursor-not-allowed disabled:opacity-50 aria-disabled:opacity-60 ${
        size === "sm" ? "h-6 px-2 text-xs" : "h-8 px-3 text-sm"
      } ${KINDS[kind]} ${className}`}
    />
  );
}
