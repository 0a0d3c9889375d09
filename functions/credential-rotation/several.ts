import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { CredentialRotationSettings } from './contract.ts';

/** One of the credentials of a run, with settings as if it were the only one. */
export type OneCredential = Omit<CredentialRotationSettings, 'further'>;

/** In the order in which they are rotated. */
export function credentialsOf(settings: CredentialRotationSettings): OneCredential[] {
  const { further = [], ...first } = settings;
  const { secretArn, database, strategy, adminSecretArn, fields, copies, copiesAlarm, ...others } = first;
  const { replicas, whenUnproven, ...shared } = others;
  return [first, ...further.map((each) => ({ ...shared, ...each }))].map((each) => ({
    ...each,
    services: each.services.filter(({ reads }) => reads?.includes(each.name ?? '') ?? true),
  }));
}

/** With the credential's name before the names of its operations, where it has one. */
export function inItsName(context: DurableContext, { name }: OneCredential): DurableContext {
  if (name === undefined) return context;
  const named = new Set<string | symbol>(['step', 'wait', 'waitForCondition', 'runInChildContext']);
  return new Proxy(context, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== 'function') return value;
      return (...values: unknown[]) => {
        const [first, ...others] = values;
        const own =
          named.has(property) && typeof first === 'string' ? [`${name}: ${first}`, ...others] : values;
        return value.apply(target, own);
      };
    },
  });
}
