import type { Check } from './check.ts';
import { addressees } from './checks/addressees.ts';
import { alarms } from './checks/alarms.ts';
import { bootstrap } from './checks/bootstrap.ts';
import { callbackProbe } from './checks/callback-probe.ts';
import { clearPasswords } from './checks/clear-passwords.ts';
import { clusters } from './checks/clusters.ts';
import { commands } from './checks/commands.ts';
import { concurrency } from './checks/concurrency.ts';
import { durableFunctions } from './checks/durable-functions.ts';
import { eventRules } from './checks/event-rules.ts';
import { execAgents } from './checks/exec-agents.ts';
import { execDefinitions } from './checks/exec-definitions.ts';
import { functionNetworks } from './checks/function-networks.ts';
import { functions } from './checks/functions.ts';
import { instances } from './checks/instances.ts';
import { jobs } from './checks/jobs.ts';
import { logRotation } from './checks/log-rotation.ts';
import { mounts } from './checks/mounts.ts';
import { namedRoles } from './checks/named-roles.ts';
import { newTasks } from './checks/new-tasks.ts';
import { permissionsBoundaries } from './checks/permissions-boundaries.ts';
import { plannedEndpoints } from './checks/planned-endpoints.ts';
import { runLists } from './checks/run-lists.ts';
import { schedules } from './checks/schedules.ts';
import { secrets } from './checks/secrets.ts';
import { servers } from './checks/servers.ts';
import { services } from './checks/services.ts';
import { sessions } from './checks/sessions.ts';
import { taskNetworks } from './checks/task-networks.ts';
import { taskRoles } from './checks/task-roles.ts';
import { taskSecrets } from './checks/task-secrets.ts';

/** All of doctor's checks, in the order in which they are shown. */
export const CHECKS: readonly Check[] = [
  bootstrap,
  durableFunctions,
  secrets(false),
  namedRoles,
  permissionsBoundaries,
  plannedEndpoints,
  functions,
  schedules,
  alarms,
  addressees,
  eventRules,
  callbackProbe,
  concurrency,
  functionNetworks,
  servers,
  clusters,
  services,
  execAgents,
  execDefinitions,
  taskRoles,
  taskSecrets,
  newTasks,
  taskNetworks,
  sessions,
  commands,
  mounts,
  logRotation,
  instances,
  clearPasswords,
  jobs,
  runLists,
];

/** The same, but that the values of secrets are read for their fields. */
export const CHECKS_WITH_SECRETS: readonly Check[] = CHECKS.map((check) =>
  check.name === 'secrets' ? secrets(true) : check,
);
