import type { Roll } from '../shared/roll/roll-services.ts';
import type { RollWay } from '../shared/roll/roll-way.ts';
import type { Problem } from '../shared/run/report.ts';
import type { ReloadOnChangeSettings } from './contract.ts';
import type { Look, ServiceLook } from './look.ts';
import type { Pinned, Read } from './reads.ts';
import { CURRENT } from './versions.ts';

/** What is watched, as people know it. */
export function placeOf({ watched }: ReloadOnChangeSettings, name: string): string {
  const found = watched.find((each) => each.name === name);
  if (found === undefined) return name;
  return 'parameter' in found ? `parameter ${found.parameter}` : `secret ${found.secretArn}`;
}

export function unreadableProblem(settings: ReloadOnChangeSettings, name: string, why: string): Problem {
  return {
    what: `It is not known which version of ${name} is in use: ${why}`,
    where: `${settings.deployment}, ${placeOf(settings, name)}`,
    next: 'No task was replaced for it. If it was made anew, correct "watched" and deploy; else mend what is said above.',
  };
}

export function pinnedProblem(
  settings: ReloadOnChangeSettings,
  { service }: ServiceLook,
  { of, version }: Pinned,
  versions: Look['versions'],
): Problem {
  const current = versions[of]?.[CURRENT]?.version;
  const lags = current !== undefined && current !== version;
  return {
    what: `Its task definition pins the version ${version} of ${of}${lags ? `, and ${current} is in use` : ''}: new tasks would get the pinned one too${lags ? ', so none was replaced for it' : ''}.`,
    where: `${settings.deployment}, service ${service.name}`,
    next: 'Take the version id from "valueFrom" and deploy the task definition; or, if that is wanted, leave the service out of "services".',
  };
}

export function missingProblem(
  { deployment }: ReloadOnChangeSettings,
  { service }: ServiceLook,
  { of, label }: Read,
): Problem {
  return {
    what: `Its task definition names the label ${label} of ${of}, which no version bears: no new task could start. None was replaced.`,
    where: `${deployment}, service ${service.name}`,
    next: 'Label a version, or correct "valueFrom" and deploy the task definition.',
  };
}

export function refusedProblem(
  settings: ReloadOnChangeSettings,
  { service, behind, behindIn }: ServiceLook,
  { reason, next }: RollWay & { kind: 'refused' },
): Problem {
  return {
    what: `${behind} of its tasks have an earlier version of ${behindIn.join(', ')}, and were not replaced: ${reason}`,
    where: `${settings.deployment}, service ${service.name}`,
    next,
  };
}

export function stoppedProblem(
  { deployment }: ReloadOnChangeSettings,
  { services, what, next }: NonNullable<Roll['stopped']>,
  changed: string[],
): Problem {
  return {
    what: `${what} It was for a new version of ${changed.join(', ')}.`,
    where: `${deployment}, service ${services.join(', ')}`,
    next,
  };
}

export function othersProblem({ deployment }: ReloadOnChangeSettings, found: string[]): Problem {
  return {
    what: found.join(' '),
    where: deployment,
    next: 'Name the services, and stop the tasks or let them end.',
  };
}

export function stillGoingOnProblem({ deployment }: ReloadOnChangeSettings, runs: string): Problem {
  return {
    what: `Too late to begin: ${runs} was still going on, and too little time is left until the run must end.`,
    where: deployment,
    next: 'No task was replaced, and the next run tries again. Give the jobs times that lie further apart.',
  };
}

export function unsteadyProblem({ deployment }: ReloadOnChangeSettings, reason: string): Problem {
  return {
    what: `A service is not steady, so none was touched: ${reason}`,
    where: deployment,
    next: 'Let it come to rest. The next run tries again; start it by hand to have that sooner.',
  };
}

export function unnotedProblem({ deployment, seenParameter }: ReloadOnChangeSettings, why: string): Problem {
  return {
    what: `What was seen could not be noted: ${why}`,
    where: `${deployment}, parameter ${seenParameter}`,
    next: 'Tasks were replaced as they should be. Until it can be noted, a label that is moved back to an earlier version is not noticed.',
  };
}

export function weariedProblem({ deployment }: ReloadOnChangeSettings, services: ServiceLook[]): Problem {
  return {
    what: `While services were rolled there came new versions of ${[...new Set(services.flatMap(({ behindIn }) => behindIn))].join(', ')} again and again.`,
    where: deployment,
    next: 'See who changes it so often. The next run loads the latest.',
  };
}
