import type { Preferences, PreferencesChange } from "@tapewire/client/react";
import { CONTROL, Row, Section, Select } from "./fields.tsx";

type Levels = Preferences["minimumLevels"];
type Muted = Preferences["muted"][number];

const LEVELS = [
  ["info", "Everything"],
  ["warning", "Warnings and above"],
  ["critical", "Critical only"],
] as const;
const LEVELLED: readonly (readonly [keyof Levels, string])[] = [
  ["risk_alert", "Risk alerts"],
  ["volatility_alert", "Volatility alerts"],
  ["system_notification", "Notices"],
];
const MUTABLE: readonly (readonly [Muted, string])[] = [
  ["algorithm_decision", "Decisions"],
  ["trade_executed", "Trades"],
  ["performance_milestone", "Milestones"],
];
/** Quotes of a symbol per second; the server's bounds are 0.2 and 20. */
const RATES = [
  ["", "Every change"],
  ["10", "10 a second"],
  ["5", "5 a second"],
  ["2", "2 a second"],
  ["1", "1 a second"],
  ["0.5", "1 every 2 seconds"],
  ["0.2", "1 every 5 seconds"],
] as const;

const HERE = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** `onChange` gets what changed, whole for each field. */
export function NotificationFields({
  kept,
  draft,
  onChange,
}: {
  kept: Preferences;
  draft: PreferencesChange;
  onChange: (change: PreferencesChange) => void;
}) {
  const minimumLevels = { ...kept.minimumLevels, ...draft.minimumLevels };
  const muted = draft.muted ?? kept.muted;
  const quietHours = { ...kept.quietHours, ...draft.quietHours };
  const marketDataRate = draft.marketDataRate === undefined ? kept.marketDataRate : draft.marketDataRate;
  const quiet = (change: PreferencesChange["quietHours"]) => onChange({ quietHours: { ...draft.quietHours, ...change } });
  const zones = [...new Set([quietHours.timeZone, HERE, "UTC"])];
  const rate = marketDataRate === undefined || marketDataRate === null ? "" : String(marketDataRate);
  const rates = RATES.some(([option]) => option === rate) ? RATES : [...RATES, [rate, `${rate} a second`] as const];
  return (
    <>
      <Section title="What is shown at once" note="The rest is kept in the history. Critical alerts and emergencies are never held back.">
        {LEVELLED.map(([type, label]) => (
          <Row key={type} label={label}>
            <Select
              value={minimumLevels[type]}
              options={LEVELS}
              onChange={(level) => onChange({ minimumLevels: { ...draft.minimumLevels, [type]: level } })}
            />
          </Row>
        ))}
        {MUTABLE.map(([type, label]) => (
          <Row key={type} label={label}>
            <input
              type="checkbox"
              className="accent-link size-5"
              checked={!muted.includes(type)}
              onChange={({ target }) => onChange({ muted: target.checked ? muted.filter((each) => each !== type) : [...muted, type] })}
            />
          </Row>
        ))}
        <Row label="Emergencies (always on)">
          <input type="checkbox" className="size-5" checked disabled readOnly />
        </Row>
      </Section>
      <Section title="Quiet hours" note="Warnings and notices wait in the history; emergencies are always on.">
        <Row label="Keep quiet hours">
          <input
            type="checkbox"
            className="accent-link size-5"
            checked={quietHours.enabled}
            // Who switches them on means the clock on their wall.
            onChange={({ target }) => quiet({ enabled: target.checked, ...(target.checked && quietHours.timeZone === "UTC" ? { timeZone: HERE } : {}) })}
          />
        </Row>
        {quietHours.enabled && (
          <div className="grid grid-cols-1 gap-x-6 sm:grid-cols-2">
            <Row label="From">
              <input type="time" required className={CONTROL} value={quietHours.start.slice(0, 5)} onChange={({ target }) => quiet({ start: target.value })} />
            </Row>
            <Row label="To">
              <input type="time" required className={CONTROL} value={quietHours.end.slice(0, 5)} onChange={({ target }) => quiet({ end: target.value })} />
            </Row>
            <Row label="Time zone">
              <Select value={quietHours.timeZone} options={zones.map((zone) => [zone, zone.replaceAll("_", " ")] as const)} onChange={(timeZone) => quiet({ timeZone })} />
            </Row>
          </div>
        )}
      </Section>
      <Section title="Quotes">
        <Row label="Updates of a symbol">
          <Select<string> value={rate} options={rates} onChange={(chosen) => onChange({ marketDataRate: chosen === "" ? null : Number(chosen) })} />
        </Row>
      </Section>
    </>
  );
}
