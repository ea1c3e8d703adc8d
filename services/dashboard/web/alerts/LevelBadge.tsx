import type { Level } from "@tapewire/client/react";
import type { ComponentType } from "react";
import { Alert, Info, Octagon, Triangle } from "../ui/icons.tsx";
import { LEVELS } from "./text.ts";

const LOOKS: Record<Level, { icon: ComponentType<{ className?: string }>; look: string }> = {
  info: { icon: Info, look: "text-link" },
  warning: { icon: Triangle, look: "text-warning" },
  critical: { icon: Alert, look: "text-(--critical-text)" },
  emergency: { icon: Octagon, look: "rounded bg-emergency px-1.5 text-white" },
};

/** A level by shape, colour and word. */
export function LevelBadge({ level, isCompact = false }: { level: Level; isCompact?: boolean }) {
  const { icon: Icon, look } = LOOKS[level];
  return (
    <span className={`inline-flex h-5 items-center align-middle gap-1.5 text-xs font-semibold ${look}`}>
      <Icon className="size-3.5" />
      <span className={isCompact ? "max-sm:sr-only" : ""}>{LEVELS[level]}</span>
    </span>
  );
}
