import type { Place } from '../place.ts';
import { UnknownTemplate } from '../template/properties.ts';
import type { Resource } from '../template/resource.ts';
import { checkPattern } from './event-pattern.ts';

/** A rule as its template has it. */
export interface Rule {
  resource: Resource;
  arn: string;
  name: string;
  bus: string;
  enabled: boolean;
  pattern: Record<string, unknown>;
  /** `input`: what the target gets in place of the event. */
  targets: { id: string; arn: string; input: string | undefined; deadLetter: string | undefined }[];
}

/** @throws UnknownTemplate where the stand-in does not know what it has */
export function ruleOf(resource: Resource): Rule {
  const { properties, arn, name } = resource;
  const pattern = properties.child('EventPattern');
  if (pattern === undefined) throw new UnknownTemplate(`${properties.where} has no EventPattern`);
  checkPattern(pattern.values, properties.where);
  return {
    resource,
    arn,
    name,
    bus: busArn(properties.text('EventBusName', 'default'), resource),
    enabled: properties.text('State', 'ENABLED') === 'ENABLED',
    pattern: pattern.values,
    targets: properties.children('Targets').map((target) => {
      target.only('Id', 'Arn', 'Input', 'DeadLetterConfig', 'RetryPolicy');
      const to = target.text('Arn');
      if (!/^arn:aws:(sqs|lambda):/.test(to)) {
        throw new UnknownTemplate(`${target.where}: targets like ${to} are not understood`);
      }
      return {
        id: target.text('Id'),
        arn: to,
        input: target.text('Input', undefined),
        deadLetter: target.child('DeadLetterConfig')?.text('Arn'),
      };
    }),
  };
}

export function busArn(nameOrArn: string, { account, region }: Place): string {
  return nameOrArn.startsWith('arn:')
    ? nameOrArn
    : `arn:aws:events:${region}:${account}:event-bus/${nameOrArn}`;
}
