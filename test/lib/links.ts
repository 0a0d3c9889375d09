import { isOnlyShown } from '../../functions/shared/run/only-shown.ts';
import { ofType, type Resource, textOf } from './template.ts';

/** A statement of a policy document, with its lists as lists. */
export interface Statement {
  Sid?: string;
  Effect: string;
  // biome-ignore lint/suspicious/noExplicitAny: as the template has it.
  Principal?: any;
  Action: string[];
  Resource: string[];
  // biome-ignore lint/suspicious/noExplicitAny: as the template has it.
  Condition?: Record<string, Record<string, any>>;
}

type Resources = Record<string, Resource>;

/**
 * Walks a template from each alarm to its topic and that one's key, and from each producer to its queue or
 * function and that one's key. Returns a sentence for each link that lacks its permission: AWS would drop what
 * goes that way, in silence.
 */
export function brokenLinks(resources: Resources): string[] {
  return [
    ...alarms(resources),
    ...rules(resources),
    ...buses(resources),
    ...schedules(resources),
    ...functions(resources),
    ...logGroups(resources),
  ];
}

function alarms(resources: Resources): string[] {
  return ofType(resources, 'AWS::CloudWatch::Alarm').flatMap(([, { Properties: alarm }]) => {
    const name = alarm.AlarmName;
    const actions: unknown[] = alarm.AlarmActions ?? [];
    if (actions.length === 0)
      return isOnlyShown(alarm.AlarmDescription) ? [] : [`alarm ${name} has no action`];
    return actions.flatMap((action) => {
      const topicId = referenced(action);
      const topic = topicId === undefined ? undefined : resources[topicId];
      // A topic that is only named has its policy elsewhere.
      if (topicId === undefined || !topic)
        return typeof action === 'string' ? [] : [`alarm ${name} has no topic`];
      const published = resourceStatements(resources, 'AWS::SNS::TopicPolicy', 'Topics', topicId).some(
        (statement) =>
          allows(statement, 'cloudwatch.amazonaws.com', 'sns:Publish') &&
          sourceIs(statement, `:alarm:${name}`, resources),
      );
      return [
        ...(published ? [] : [`alarm ${name} may not publish to its topic`]),
        ...keyLinks(resources, topic.Properties.KmsMasterKeyId, 'cloudwatch.amazonaws.com', `alarm ${name}`),
      ];
    });
  });
}

function rules(resources: Resources): string[] {
  return ofType(resources, 'AWS::Events::Rule').flatMap(([id, { Properties: rule }]) =>
    // One without any counts what matches it.
    ((rule.Targets ?? []) as Record<string, unknown>[]).flatMap((target) => {
      const targetId = referenced(target.Arn) ?? '';
      const deadLetters = (target.DeadLetterConfig as { Arn: unknown } | undefined)?.Arn;
      return [
        ...(resources[targetId]?.Type === 'AWS::Lambda::Function'
          ? invokedByRule(resources, targetId, id)
          : queueLinks(resources, targetId, id)),
        ...(deadLetters
          ? queueLinks(resources, referenced(deadLetters) ?? '', id)
          : [`rule ${id} has no dead-letter queue`]),
      ];
    }),
  );
}

function invokedByRule(resources: Resources, functionId: string, ruleId: string): string[] {
  const permitted = ofType(resources, 'AWS::Lambda::Permission').some(
    ([, { Properties: permission }]) =>
      referenced(permission.FunctionName) === functionId &&
      permission.Principal === 'events.amazonaws.com' &&
      referenced(permission.SourceArn) === ruleId,
  );
  return permitted ? [] : [`rule ${ruleId} may not invoke ${functionId}`];
}

function buses(resources: Resources): string[] {
  return ofType(resources, 'AWS::Events::EventBus').flatMap(([id, { Properties: bus }]) => {
    const deadLetters = bus.DeadLetterConfig?.Arn;
    return [
      ...(deadLetters ? queueLinks(resources, referenced(deadLetters) ?? '', id) : []),
      ...busKeyLinks(resources, referenced(bus.KmsKeyIdentifier), bus.Name),
    ];
  });
}

function busKeyLinks(resources: Resources, keyId: string | undefined, busName: string): string[] {
  if (keyId === undefined) return [];
  const used = keyStatements(resources, keyId).some(
    (statement) =>
      statement.Principal?.Service === 'events.amazonaws.com' &&
      ['kms:Decrypt', 'kms:GenerateDataKey'].every((action) => statement.Action.includes(action)) &&
      textOf(
        statement.Condition?.StringEquals?.['kms:EncryptionContext:aws:events:event-bus:arn'],
        resources,
      ).endsWith(`:event-bus/${busName}`),
  );
  // A request that describes a key carries no context and no source.
  const described = keyStatements(resources, keyId).some(
    (statement) =>
      statement.Principal?.Service === 'events.amazonaws.com' &&
      statement.Action.includes('kms:DescribeKey') &&
      statement.Condition === undefined,
  );
  return used && described ? [] : [`bus ${busName} may not use its key`];
}

/** From EventBridge to a queue. */
function queueLinks(resources: Resources, queueId: string, sourceId: string): string[] {
  const queue = resources[queueId];
  if (queue?.Type !== 'AWS::SQS::Queue') return [`${sourceId} has no queue ${queueId}`];
  const sent = resourceStatements(resources, 'AWS::SQS::QueuePolicy', 'Queues', queueId).some(
    (statement) =>
      allows(statement, 'events.amazonaws.com', 'sqs:SendMessage') &&
      list(statement.Condition?.ArnEquals?.['aws:SourceArn']).some((arn) => referenced(arn) === sourceId),
  );
  const name = queue.Properties.QueueName;
  return [
    ...(sent ? [] : [`${sourceId} may not send to ${name}`]),
    ...keyLinks(
      resources,
      queue.Properties.KmsMasterKeyId,
      'events.amazonaws.com',
      `${sourceId}, to ${name},`,
      // EventBridge names no source to KMS; SQS names the queue.
      ({ Condition: condition }) =>
        condition === undefined ||
        (Object.keys(condition).join() === 'ArnLike' &&
          String(name).startsWith(
            textOf(condition.ArnLike?.['kms:EncryptionContext:aws:sqs:arn'], resources).replace(
              /^.*:|\*$/g,
              '',
            ),
          )),
    ),
  ];
}

function schedules(resources: Resources): string[] {
  return ofType(resources, 'AWS::Scheduler::Schedule').flatMap(([id, { Properties: schedule }]) => {
    const target = schedule.Target;
    const roleId = referenced(target.RoleArn) ?? '';
    const invoked = roleStatements(resources, roleId).some(
      (statement) =>
        statement.Effect === 'Allow' &&
        statement.Action.includes('lambda:InvokeFunction') &&
        statement.Resource.some((arn) => textOf(arn, resources) === textOf(target.Arn, resources)),
    );
    return [
      ...(invoked ? [] : [`schedule ${id} may not invoke its target`]),
      ...roleSends(resources, roleId, target.DeadLetterConfig?.Arn, `schedule ${id}`),
    ];
  });
}

function functions(resources: Resources): string[] {
  return ofType(resources, 'AWS::Lambda::Function').flatMap(([id, { Properties: lambda }]) => {
    // Secrets Manager waits for the answer: there is no event that could be lost.
    const isCalled = ofType(resources, 'AWS::Lambda::Permission').some(
      ([, { Properties: permission }]) =>
        permission.Principal === 'secretsmanager.amazonaws.com' && referenced(permission.FunctionName) === id,
    );
    if (isCalled) return [];
    const config = ofType(resources, 'AWS::Lambda::EventInvokeConfig').find(
      ([, { Properties: invoke }]) => referenced(invoke.FunctionName) === id,
    );
    const deadLetters =
      lambda.DeadLetterConfig?.TargetArn ?? config?.[1].Properties.DestinationConfig?.OnFailure?.Destination;
    const who = `function ${lambda.FunctionName}`;
    const isUnderItsKey = referenced(lambda.DurableConfig?.KMSKeyArn) === referenced(lambda.KmsKeyArn);
    return [
      ...(lambda.DurableConfig && !isUnderItsKey
        ? [`what is on record of ${who} is not encrypted with the key of all else`]
        : []),
      ...roleSends(resources, referenced(lambda.Role) ?? '', deadLetters, who),
      ...keyLinks(
        resources,
        lambda.DurableConfig?.KMSKeyArn,
        'lambda.amazonaws.com',
        `what is on record of ${who}`,
        ({ Condition: condition }) =>
          ['aws:SourceArn', 'kms:EncryptionContext:aws:lambda:FunctionArn'].every((key) =>
            matches(textOf(condition?.ArnLike?.[key], resources), `:function:${lambda.FunctionName}`),
          ),
      ),
    ];
  });
}

/** From a service that acts under a role to a queue. */
function roleSends(resources: Resources, roleId: string, queueArn: unknown, who: string): string[] {
  const queueId = referenced(queueArn);
  const queue = resources[queueId ?? ''];
  if (queueId === undefined || queue?.Type !== 'AWS::SQS::Queue') return [`${who} has no dead-letter queue`];
  const keyId = referenced(queue.Properties.KmsMasterKeyId);
  const may = (action: string, resourceId: string) =>
    roleStatements(resources, roleId).some(
      (statement) =>
        statement.Effect === 'Allow' &&
        statement.Action.includes(action) &&
        statement.Resource.some((arn) => referenced(arn) === resourceId),
    );
  const missing = [
    ...(may('sqs:SendMessage', queueId) ? [] : ['sqs:SendMessage']),
    ...(keyId === undefined
      ? []
      : ['kms:GenerateDataKey', 'kms:Decrypt'].filter((action) => !may(action, keyId))),
  ];
  return missing.map((action) => `${who} may not ${action} for ${queue.Properties.QueueName}`);
}

function logGroups(resources: Resources): string[] {
  return ofType(resources, 'AWS::Logs::LogGroup').flatMap(([, { Properties: group }]) => {
    const keyId = referenced(group.KmsKeyId);
    if (keyId === undefined) return [];
    const name = group.LogGroupName;
    const encrypted = keyStatements(resources, keyId).some(
      (statement) =>
        /^logs\.[\w:-]+\.amazonaws\.com$/.test(textOf(statement.Principal?.Service, resources)) &&
        ['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncrypt*', 'kms:GenerateDataKey*', 'kms:Describe*'].every(
          (action) => statement.Action.includes(action),
        ) &&
        matches(
          textOf(statement.Condition?.ArnLike?.['kms:EncryptionContext:aws:logs:arn'], resources),
          `:log-group:${name}`,
        ),
    );
    return encrypted ? [] : [`log group ${name} may not use its key`];
  });
}

function keyLinks(
  resources: Resources,
  key: unknown,
  service: string,
  who: string,
  holds: (statement: Statement) => boolean = () => true,
): string[] {
  const keyId = referenced(key);
  if (keyId === undefined) return key === undefined ? [] : [`${who} has a key that is not in the template`];
  const used = keyStatements(resources, keyId).some(
    (statement) =>
      statement.Principal?.Service === service &&
      statement.Action.includes('kms:Decrypt') &&
      statement.Action.some((action) => /^kms:GenerateDataKey\*?$/.test(action)) &&
      holds(statement),
  );
  return used ? [] : [`${who} may not use the key`];
}

/** The statements of a role, from itself and from the policies attached to it. */
export function roleStatements(resources: Resources, roleId: string): Statement[] {
  const inline: { PolicyDocument: { Statement: unknown[] } }[] = resources[roleId]?.Properties.Policies ?? [];
  const attached = ofType(resources, 'AWS::IAM::Policy').filter(([, { Properties: policy }]) =>
    (policy.Roles as unknown[]).some((role) => referenced(role) === roleId),
  );
  return [
    ...inline.flatMap(({ PolicyDocument }) => PolicyDocument.Statement),
    ...attached.flatMap(([, { Properties: policy }]) => policy.PolicyDocument.Statement),
  ].map(normalized);
}

function resourceStatements(resources: Resources, type: string, property: string, id: string): Statement[] {
  return ofType(resources, type)
    .filter(([, { Properties: policy }]) =>
      (policy[property] as unknown[]).some((item) => referenced(item) === id),
    )
    .flatMap(([, { Properties: policy }]) => policy.PolicyDocument.Statement)
    .map(normalized);
}

function keyStatements(resources: Resources, keyId: string): Statement[] {
  return (resources[keyId]?.Properties.KeyPolicy.Statement ?? []).map(normalized);
}

/** Of a policy, its statements with their lists as lists. */
export function statementsOf({ Statement }: { Statement: unknown }): Statement[] {
  return list(Statement).map(normalized);
}

function normalized(statement: unknown): Statement {
  const { Action, Resource, ...rest } = statement as { Effect: string; Action: unknown; Resource: unknown };
  return { ...rest, Action: list(Action) as string[], Resource: list(Resource) as string[] };
}

function allows(statement: Statement, service: string, action: string): boolean {
  return (
    statement.Effect === 'Allow' &&
    statement.Principal?.Service === service &&
    statement.Action.includes(action)
  );
}

function sourceIs(statement: Statement, end: string, resources: Resources): boolean {
  return matches(textOf(statement.Condition?.ArnLike?.['aws:SourceArn'], resources), end);
}

/** Whether a pattern with a star at its end matches an ARN that ends so. */
function matches(pattern: string, end: string): boolean {
  const fixed = pattern.replace(/\*$/, '');
  const marker = end.slice(0, end.indexOf(':', 1) + 1);
  return fixed.includes(marker) && end.startsWith(fixed.slice(fixed.indexOf(marker)));
}

function referenced(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if ('Ref' in value) return String(value.Ref);
  if ('Fn::GetAtt' in value) return (value['Fn::GetAtt'] as [string])[0];
  return undefined;
}

function list(value: unknown): unknown[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}
