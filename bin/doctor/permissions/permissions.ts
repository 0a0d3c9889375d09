import type { Check } from '../check.ts';
import { sessionTag, updateService } from './by-trying.ts';
import { busKey, environmentKey, refusals } from './in-history.ts';

/**
 * What AWS's documents leave open of the permissions, asked of AWS itself after a deploy: docs/security.md says what hangs on
 * each answer.
 * @param role its ARN, of one that the caller may assume and that may do what is tried. @default only what CloudTrail knows
 */
export function permissionChecks(role?: string): Check[] {
  return [
    refusals,
    environmentKey,
    busKey,
    ...(role === undefined ? [] : [updateService(role), sessionTag(role)]),
  ];
}
