import type { Check } from './check.ts';
import { addressees } from './checks/addressees.ts';
import { alarms } from './checks/alarms.ts';
import { functions } from './checks/functions.ts';
import { schedules } from './checks/schedules.ts';

/** All of doctor's checks, in the order in which they are shown. */
export const CHECKS: readonly Check[] = [functions, schedules, alarms, addressees];
