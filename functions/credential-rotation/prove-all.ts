import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { NewTasks, RolledResult, Verdict } from '../shared/roll/roll-service.ts';
import type { RollablePlan as AnyPlan } from '../shared/roll/roll-way.ts';
import type { CredentialRotationSettings } from './contract.ts';
import type { Proof } from './judge-logins.ts';
import type { LoginsBefore } from './logins-before.ts';
import type { RollablePlan } from './plan-roll.ts';
import { type ProofRequest, proveLogins } from './prove-logins.ts';
import { inItsName, type OneCredential } from './several.ts';
import { stopsRoll } from './unproven.ts';

/** Of the services that read any of the credentials. */
export type RollPlanOfAll = AnyPlan;

/** Whether the new tasks of a service log in, with each of the credentials that it reads. */
export interface Proofs extends Verdict {
  /** By the name of the credential; of the only one, by the empty one. */
  of: Record<string, Proof>;
  /** No further service may be touched. */
  stops: boolean;
}

/** Who looks whether tasks log in with one of the credentials. */
export interface Prover {
  settings: OneCredential;
  /** `undefined`: the service does not read it. */
  prove(context: DurableContext, service: string, which: NewTasks): Promise<Proof | undefined>;
}

/** The names of looks at new tasks in the run's history. */
const LOOKS_AT: Record<NewTasks, (service: string) => string> = {
  all: (service) => `${service} logs in`,
  first: (service) => `the first of ${service} logs in`,
  earlier: (service) => `the new ones of ${service} log in`,
};

export function proverOf(
  { settings }: { settings: OneCredential },
  plans: RollablePlan[],
  proving: ProofRequest,
  before: LoginsBefore,
): Prover {
  let hasSeenTasks = false;
  return {
    settings,
    async prove(context, service, which) {
      const plan = plans.find((each) => each.service.name === service);
      if (plan === undefined) return undefined;
      const subject = { ...plan, before, hasSeenTasks };
      const proof = await proveLogins(
        inItsName(context, settings),
        LOOKS_AT[which](service),
        proving,
        subject,
      );
      hasSeenTasks ||= proof.seen > 0;
      return proof;
    },
  };
}

/** One after the other, up to the first with which the roll must not go on. */
export async function proveAll(
  context: DurableContext,
  provers: readonly Prover[],
  service: string,
  which: NewTasks,
): Promise<Proofs> {
  const of: Proofs['of'] = {};
  let last: Proof | undefined;
  for (const { settings, prove } of provers) {
    const proof = await prove(context, service, which);
    if (proof === undefined) continue;
    const { name = '' } = settings;
    of[name] = proof;
    last = proof;
    if (!stopsRoll(settings, proof)) continue;
    const evidence = name === '' ? proof.evidence : `Of ${name}: ${proof.evidence}`;
    return { of, stops: true, evidence, next: proof.next };
  }
  return { of, stops: false, evidence: last?.evidence ?? '', next: last?.next ?? '' };
}

/** Each service that reads one of them, in the order of the settings. */
export function plansOfAll<Part>(
  { services }: CredentialRotationSettings,
  parts: readonly Part[],
  plansOf: ReadonlyMap<Part, RollablePlan[]>,
): RollPlanOfAll[] {
  const plans = parts.flatMap((part) => plansOf.get(part) ?? []);
  return services.flatMap(({ name }) => plans.find(({ service }) => service.name === name) ?? []);
}

/** What became of those services that read it, with the proof for it. */
export function servicesOf(
  { settings: { name = '', services } }: { settings: OneCredential },
  rolled: readonly RolledResult<Proofs>[],
): RolledResult<Proof>[] {
  return rolled
    .filter(({ service }) => services.some((each) => each.name === service))
    .map(({ proof: proofs, ...result }) => {
      const proof = proofs?.of[name];
      return { ...result, ...(proof && { proof }) };
    });
}
