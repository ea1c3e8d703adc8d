/** Numbers and times as a trader reads them. */

const money = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "2-digit", month: "short" });

export const NONE = "–";
const MINUS = "\u2212"; // as wide as a plus, unlike the hyphen

export function price(value: number | undefined): string {
  if (value === undefined) return NONE;
  return value < 10 ? value.toFixed(4) : money.format(value);
}

/** `+1,204.50`, `−412.50`, `0.00`. */
export function signed(value: number): string {
  const text = money.format(Math.abs(value));
  return Number(text.replaceAll(",", "")) === 0 ? text : `${value > 0 ? "+" : MINUS}${text}`;
}

export function amount(value: number | undefined): string {
  return value === undefined ? NONE : money.format(value);
}

export function count(value: number | undefined): string {
  return value === undefined ? NONE : whole.format(value);
}

export function big(value: number | undefined): string {
  return value === undefined ? NONE : compact.format(value);
}

export function percent(value: number | undefined, digits = 1): string {
  return value === undefined ? NONE : `${value.toFixed(digits)} %`;
}

export function signedPercent(value: number | undefined): string {
  if (value === undefined) return NONE;
  const text = Math.abs(value).toFixed(2);
  return `${Number(text) === 0 ? "" : value > 0 ? "+" : MINUS}${text} %`;
}

export function time(at: string | number): string {
  return clock.format(new Date(at));
}

/** The time, with the day when it was another one. */
export function moment(at: string, now: number): string {
  const date = new Date(at);
  return date.toDateString() === new Date(now).toDateString() ? time(at) : `${day.format(date)} ${time(at)}`;
}

/** `45 s`, `12 min`, `1 h 30 min`, `2 d 4 h`. */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  const minutes = Math.floor(s / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return hours % 24 ? `${Math.floor(hours / 24)} d ${hours % 24} h` : `${Math.floor(hours / 24)} d`;
}

export function ago(at: number, now: number): string {
  const seconds = Math.floor((now - at) / 1000);
  return seconds < 1 ? "now" : `${duration(seconds)} ago`;
}
