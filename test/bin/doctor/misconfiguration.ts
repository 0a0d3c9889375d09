import assert from 'node:assert/strict';
import type { SynthesizedDeployment } from '../../../bin/doctor/before-deploy/synthesized.ts';
import type { EcsTask } from '../../../rehearsal/aws/ecs/task.ts';
import { functionNamed, settingsOf } from '../../../rehearsal/deployed-functions.ts';
import type { World } from '../../../rehearsal/world.ts';

/** Something that is wrong with emea, and what doctor must then say. */
export interface Misconfiguration {
  /** In words. */
  what: string;
  /** Spoils the world. Returns the way back. */
  spoil(world: World): (() => unknown) | Promise<() => unknown>;
  check: string;
  /** The only one that is looked at. @default all are */
  job?: string;
  /** It is looked at before it is deployed: what `cdk synth` wrote, which this changes. @default it is deployed */
  synthesized?: (synthesized: SynthesizedDeployment) => void;
  /** With the option --read-secrets. */
  readsSecrets?: true;
  /** The addresses that names have for the machine. @default none */
  addresses?: Record<string, string>;
  status: 'warning' | 'failed';
  saw: RegExp;
  mend: RegExp;
}

/** Changes members of an object; returns the way back. */
export function set<Value extends object>(value: Value, change: Partial<Value>): () => void {
  const before = Object.fromEntries(
    Object.keys(change).map((key) => [key, value[key as keyof Value]]),
  ) as Partial<Value>;
  Object.assign(value, change);
  return () => Object.assign(value, before);
}

/** What a function was configured with. */
export function configure(world: World, name: string, change: (settings: never) => void): () => void {
  const resource = functionNamed(world.aws, name);
  assert.ok(resource);
  const settings = settingsOf<never>(resource);
  change(settings);
  const variables = resource.properties.child('Environment')?.child('Variables')?.values;
  assert.ok(variables);
  return set(variables, { UPKEEP_SETTINGS: JSON.stringify(settings) });
}

/** The network of emea. */
export function networkOf({ aws }: World) {
  return aws.ec2.networks.in({ account: '222222222222', region: 'eu-central-1' });
}

/** Puts something into a map, or takes it out; returns the way back. */
export function put<Value>(map: Map<string, Value>, key: string, value: Value | undefined): () => void {
  const before = map.get(key);
  const change = (to: Value | undefined) => void (to === undefined ? map.delete(key) : map.set(key, to));
  change(value);
  return () => change(before);
}

/** Goes back on several changes. */
export function all(...back: (() => void)[]): () => void {
  return () => back.reverse().forEach((each) => void each());
}

/** The service of CoreApps. */
export function coreApps(world: World) {
  const service = world.deployments.emea?.containers?.services.coreapp;
  assert.ok(service);
  return service;
}

export function coreAppTask(world: World): EcsTask {
  const found = world.deployments.emea?.containers?.containers.find(({ role }) => role === 'coreapp');
  assert.ok(found);
  return found.task;
}

type LogCleanup = {
  clusterArn: string;
  reach: string;
  roles: { services: string[]; container: string; script: string; logs: string[] }[];
};

/** What log-cleanup was configured with. */
export const configureLogCleanup = (change: (settings: LogCleanup) => void) => (world: World) =>
  configure(world, 'emea-log-cleanup', change as (settings: never) => void);
