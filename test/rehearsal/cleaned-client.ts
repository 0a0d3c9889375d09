import type { Stack } from 'aws-cdk-lib';
import { LogCleanup, type LogCleanupProps, type Upkeep } from '../../lib/index.ts';

const ROLES = {
  webapp: { service: 'webapp', container: 'wa-web' },
  coreapp: { service: 'coreapp', container: 'wa-coreapp' },
  master: { service: 'master', container: 'wa-master' },
};

/** The clean-up of a client with a service for each role. */
export function cleanClient(
  stack: Stack,
  upkeep: Upkeep,
  props: Omit<LogCleanupProps, 'upkeep' | 'cluster' | 'roles'>,
): LogCleanup {
  return new LogCleanup(stack, 'LogCleanup', {
    upkeep,
    cluster: 'client',
    roles: Object.fromEntries(
      Object.entries(ROLES).map(([role, { service, container }]) => [
        role,
        { services: [service], container },
      ]),
    ),
    ...props,
  });
}

/** The services that it cleans, with so many tasks. */
export function cleanedServices({ webapp, coreapp, master }: Record<keyof typeof ROLES, number>) {
  return {
    webapp: { ...ROLES.webapp, tasks: webapp },
    coreapp: { ...ROLES.coreapp, tasks: coreapp },
    master: { ...ROLES.master, tasks: master },
  };
}
