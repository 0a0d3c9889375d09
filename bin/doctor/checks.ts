import type { Check } from './check.ts';
import { addressees } from './checks/addressees.ts';
import { alarms } from './checks/alarms.ts';
import { clearPasswords } from './checks/clear-passwords.ts';
import { clusters } from './checks/clusters.ts';
import { commands } from './checks/commands.ts';
import { concurrency } from './checks/concurrency.ts';
import { eventRules } from './checks/event-rules.ts';
import { execAgents } from './checks/exec-agents.ts';
import { execDefinitions } from './checks/exec-definitions.ts';
import { functions } from './checks/functions.ts';
import { instances } from './checks/instances.ts';
import { jobs } from './checks/jobs.ts';
import { runLists } from './checks/run-lists.ts';
import { schedules } from './checks/schedules.ts';
import { services } from './checks/services.ts';
import { taskRoles } from './checks/task-roles.ts';

/** All of doctor's checks, in the order in which they are shown. */
export const CHECKS: readonly Check[] = [
  functions,
  schedules,
  alarms,
  addressees,
  eventRules,
  concurrency,
  clusters,
  services,
  execAgents,
  execDefinitions,
  taskRoles,
  commands,
  instances,
  clearPasswords,
  jobs,
  runLists,
];
