import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SSMClient } from '@aws-sdk/client-ssm';
import { type ComparedCopy, compareCopies } from '../shared/database/credential/copies.ts';
import type { Answer } from '../shared/database/sizes/measure-set.ts';
import { namingErrors } from '../shared/run/naming-errors.ts';
import { REQUEST_LIMITS } from '../shared/run/request-limits.ts';
import type { PasswordCopiesSettings } from './contract.ts';

/** A copy of the credential, as this run judges it. Holds no value. */
export type JudgedCopy =
  | Exclude<ComparedCopy, { kind: 'other' }>
  /** It holds what it held before the last rotation, whose run may still deliver. */
  | { place: string; kind: 'awaited' }
  /**
   * `since`: ISO 8601; when the credential was made, or else what the copy holds.
   * `overwritten`: the copy was written after the credential was made.
   */
  | { place: string; kind: 'different'; since: string; overwritten: boolean };

const clients = {
  secretsManager: namingErrors(new SecretsManagerClient({ requestHandler: REQUEST_LIMITS })),
  ssm: namingErrors(new SSMClient({ requestHandler: REQUEST_LIMITS })),
};

/** Compares the copies of the rotated credential with it. */
export async function comparePasswordCopies(settings: PasswordCopiesSettings): Promise<Answer<JudgedCopy[]>> {
  try {
    const { currentSince, copies } = await compareCopies(settings, clients);
    const delivered = Date.now() - currentSince >= settings.deliverySeconds * 1000;
    return { kind: 'told', value: copies.map((copy) => judged(copy, { currentSince, delivered })) };
  } catch (error) {
    return { kind: 'not-told', error: error instanceof Error ? error.message : String(error) };
  }
}

/**
 * What a copy's difference means. Whether it was written before or after the credential was made is told by its own date:
 * what somebody writes there later is different at once, for nothing delivers it.
 *
 * @param currentSince when the credential was made. Epoch milliseconds.
 * @param delivered the run that made it must have ended.
 */
export function judged(
  copy: ComparedCopy,
  { currentSince, delivered }: { currentSince: number; delivered: boolean },
): JudgedCopy {
  if (copy.kind !== 'other') return copy;
  const { place, writtenAt } = copy;
  const overwritten = writtenAt > currentSince;
  if (!delivered && !overwritten) return { place, kind: 'awaited' };
  const since = new Date(Math.max(writtenAt, currentSince)).toISOString();
  return { place, kind: 'different', since, overwritten };
}

/**
 * How many copies are known not to hold the credential; `undefined` where none is, though not all are known to hold it:
 * what is unknown must not end an alarm.
 */
export function differingCopies(copies: readonly JudgedCopy[]): number | undefined {
  const differing = copies.filter(({ kind }) => kind === 'different' || kind === 'missing').length;
  return differing > 0 || copies.every(({ kind }) => kind === 'current') ? differing : undefined;
}
