import { windowMinutes } from '../../lib/local-time.ts';

/** The least window in which all jobs find a time, in minutes. */
const SHORTEST_WINDOW = 120;

/** What is taken where nobody says otherwise. */
export const USUAL_WINDOW = { from: '01:00', to: '05:00' };

export const WINDOW_FORM = `It must be two local times such as ${windowText(USUAL_WINDOW)}, at least ${SHORTEST_WINDOW / 60} hours apart.`;

export function windowText({ from, to }: { from: string; to: string }): string {
  return `${from}-${to}`;
}

/** Undefined: it is no window in which all jobs find a time. */
export function parseWindow(text: string): { from: string; to: string } | undefined {
  const [, from, to] = /^((?:[01]\d|2[0-3]):[0-5]\d)-((?:[01]\d|2[0-3]):[0-5]\d)$/.exec(text.trim()) ?? [];
  if (from === undefined || to === undefined || from === to) return undefined;
  return windowMinutes({ from, to }) >= SHORTEST_WINDOW ? { from, to } : undefined;
}

/** Whether the configuration takes it: an offset is no time zone. */
export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return name.includes('/') || name === 'UTC';
  } catch {
    return false;
  }
}
