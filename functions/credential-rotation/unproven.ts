import type { RolledResult } from '../shared/roll/roll-service.ts';
import type { CredentialRotationSettings } from './contract.ts';
import type { Proof } from './judge-logins.ts';

/**
 * Whether no further service is touched after a proof: where tasks do not log in, where they are not seen to as those before
 * them were, and where logins are refused and nobody knows whose. With one password alone old tasks are refused too, and only
 * the roll ends that.
 */
export function stopsRoll({ strategy, whenUnproven }: CredentialRotationSettings, proof: Proof): boolean {
  if (proof.answer !== 'unknown') return proof.answer === 'disproven';
  if (proof.isMissing) return true;
  if (whenUnproven === 'retire') return false;
  return proof.isSilent || (proof.refused > 0 && strategy.kind !== 'single-password');
}

/**
 * The services of which nobody knows whether their new tasks log in, and because of which the old credential stays. With
 * one password alone there is none to keep: those only of which something speaks for a mistake.
 */
export function keptBecauseOf(
  { whenUnproven, strategy }: CredentialRotationSettings,
  services: readonly RolledResult<Proof>[],
  isFirst: boolean,
): { service: string; proof: Proof }[] {
  return services.flatMap(({ service, proof }) => {
    if (proof?.answer !== 'unknown') return [];
    const isCareful = isFirst && strategy.kind !== 'single-password';
    const keeps = whenUnproven === undefined ? isCareful || !proof.isHarmless : whenUnproven === 'keep';
    return keeps ? [{ service, proof }] : [];
  });
}

/** Whether no task of any service runs, so that nobody has tried the new credential in a container. */
export function nobodyTried(services: readonly Pick<RolledResult<Proof>, 'proof'>[]): boolean {
  return services.every(({ proof }) => proof?.tasks === 0);
}
