import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { RESOURCE_TYPES } from '../../../../rehearsal/aws/server.ts';
import type { Template } from '../../../../rehearsal/aws/template/assembly.ts';
import { UnknownTemplate } from '../../../../rehearsal/aws/template/properties.ts';
import type { Deployed } from '../../../../rehearsal/aws/template/resource.ts';
import { readTemplates } from '../../../../rehearsal/aws/template/template.ts';

const folder = mkdtempSync(join(tmpdir(), 'template-test-'));
after(() => rmSync(folder, { recursive: true }));
let assemblies = 0;

function read(
  stacks: Record<string, Template>,
  change?: (templates: Record<string, Template>) => void,
): Deployed {
  const cdkOut = join(folder, String(assemblies++));
  mkdirSync(cdkOut);
  const artifacts: Record<string, object> = {};
  for (const [name, template] of Object.entries(stacks)) {
    writeFileSync(join(cdkOut, `${name}.json`), JSON.stringify(template));
    artifacts[name] = {
      type: 'aws:cloudformation:stack',
      environment: 'aws://123456789012/eu-central-1',
      properties: { templateFile: `${name}.json` },
    };
  }
  writeFileSync(join(cdkOut, 'manifest.json'), JSON.stringify({ artifacts }));
  return readTemplates(cdkOut, {
    endpoint: 'http://127.0.0.1:1',
    types: RESOURCE_TYPES,
    ...(change && { change }),
  });
}

/** What a value in a template comes to: it is put into a topic's display name. */
function resolved(value: unknown): unknown {
  const deployed = read({
    one: {
      Parameters: { Size: { Default: 'small' } },
      Mappings: { Sizes: { small: { cpu: '256' } } },
      Conditions: {
        IsSmall: { 'Fn::Equals': [{ Ref: 'Size' }, 'small'] },
        IsLarge: { 'Fn::Not': [{ Condition: 'IsSmall' }] },
        Both: { 'Fn::And': [{ Condition: 'IsSmall' }, { Condition: 'IsLarge' }] },
        Any: { 'Fn::Or': [{ Condition: 'IsSmall' }, { Condition: 'IsLarge' }] },
      },
      Resources: {
        Queue: { Type: 'AWS::SQS::Queue', Properties: { QueueName: 'orders' } },
        Bus: { Type: 'AWS::Events::EventBus', Properties: { Name: 'bus' } },
        Role: { Type: 'AWS::IAM::Role', Properties: { RoleName: 'role', AssumeRolePolicyDocument: {} } },
        Topic: { Type: 'AWS::SNS::Topic', Properties: { TopicName: 'topic', DisplayName: value } },
      },
    },
  });
  return deployed.ofType('AWS::SNS::Topic')[0]?.properties.values.DisplayName;
}

const intrinsics: [value: unknown, result: unknown][] = [
  [{ Ref: 'Queue' }, 'http://127.0.0.1:1/123456789012/orders'],
  [{ 'Fn::GetAtt': ['Queue', 'Arn'] }, 'arn:aws:sqs:eu-central-1:123456789012:orders'],
  [{ 'Fn::GetAtt': 'Queue.QueueName' }, 'orders'],
  [{ Ref: 'Bus' }, 'bus'],
  [{ 'Fn::GetAtt': ['Role', 'Arn'] }, 'arn:aws:iam::123456789012:role/role'],
  [
    { 'Fn::Join': ['-', ['a', { Ref: 'AWS::Region' }, { Ref: 'AWS::AccountId' }]] },
    'a-eu-central-1-123456789012',
  ],
  [
    { 'Fn::Sub': `\${AWS::Partition}/\${Queue.Arn}/\${!Kept}` },
    `aws/arn:aws:sqs:eu-central-1:123456789012:orders/\${Kept}`,
  ],
  [{ 'Fn::Sub': [`\${Mine}-\${Size}`, { Mine: { Ref: 'Bus' } }] }, 'bus-small'],
  [{ 'Fn::Select': [1, { 'Fn::Split': [':', 'a:b:c'] }] }, 'b'],
  [{ 'Fn::FindInMap': ['Sizes', { Ref: 'Size' }, 'cpu'] }, '256'],
  [{ 'Fn::If': ['IsSmall', 'yes', 'no'] }, 'yes'],
  [{ 'Fn::If': ['IsLarge', 'yes', { Ref: 'AWS::NoValue' }] }, undefined],
  [{ 'Fn::If': ['Both', 'yes', 'no'] }, 'no'],
  [{ 'Fn::If': ['Any', 'yes', 'no'] }, 'yes'],
  [{ 'Fn::Base64': 'a' }, 'YQ=='],
];

for (const [value, result] of intrinsics) {
  test(`resolves ${JSON.stringify(value)}`, () => assert.deepEqual(resolved(value), result));
}

test('resolves what another stack exports', () => {
  const deployed = read({
    reader: {
      Resources: {
        Topic: { Type: 'AWS::SNS::Topic', Properties: { DisplayName: { 'Fn::ImportValue': 'maker:queue' } } },
      },
    },
    maker: {
      Resources: { Queue: { Type: 'AWS::SQS::Queue', Properties: { QueueName: 'q' } } },
      Outputs: {
        Out: { Value: { 'Fn::GetAtt': ['Queue', 'Arn'] }, Export: { Name: { 'Fn::Sub': 'maker:queue' } } },
      },
    },
  });
  assert.equal(
    deployed.ofType('AWS::SNS::Topic')[0]?.properties.text('DisplayName'),
    'arn:aws:sqs:eu-central-1:123456789012:q',
  );
});

test('tells what stacks print, but for outputs whose condition does not hold', () => {
  const { outputs } = read({
    one: {
      Conditions: { Never: { 'Fn::Equals': ['a', 'b'] } },
      Resources: { Queue: { Type: 'AWS::SQS::Queue', Properties: { QueueName: 'q' } } },
      Outputs: {
        Line: { Value: { 'Fn::Join': ['', ['{"queue":"', { 'Fn::GetAtt': ['Queue', 'QueueName'] }, '"}']] } },
        Nothing: { Value: 'a', Condition: 'Never' },
      },
    },
  });
  assert.deepEqual(outputs, { one: { Line: '{"queue":"q"}' } });
});

test('makes a name of stack and logical id where none is given, the same one each time', () => {
  const template = { Resources: { Queue: { Type: 'AWS::SQS::Queue' } } };
  const [first, second] = [read({ one: template }), read({ one: template })].map(
    (deployed) => deployed.ofType('AWS::SQS::Queue')[0]?.name ?? '',
  );
  assert.match(first ?? '', /^one-Queue-[0-9A-F]{12}$/);
  assert.equal(first, second);
});

test('leaves out a resource whose condition does not hold', () => {
  const deployed = read({
    one: {
      Conditions: { Never: { 'Fn::Equals': ['a', 'b'] } },
      Resources: { Queue: { Type: 'AWS::SQS::Queue', Condition: 'Never' } },
    },
  });
  assert.equal(deployed.resources.length, 0);
});

test('deploys what a test has made of the template', () => {
  const deployed = read(
    { one: { Resources: { Queue: { Type: 'AWS::SQS::Queue', Properties: { QueueName: 'a' } } } } },
    (templates) => {
      const properties = templates.one?.Resources.Queue?.Properties;
      if (properties !== undefined) properties.QueueName = 'b';
    },
  );
  assert.equal(deployed.ofType('AWS::SQS::Queue')[0]?.name, 'b');
});

const unknown: [what: string, template: Template, message: RegExp][] = [
  [
    'a resource type',
    { Resources: { Table: { Type: 'AWS::DynamoDB::Table' } } },
    /Table \(AWS::DynamoDB::Table\)/,
  ],
  [
    'a property',
    { Resources: { Queue: { Type: 'AWS::SQS::Queue', Properties: { FifoQueue: true } } } },
    /Queue \(AWS::SQS::Queue\)\.FifoQueue/,
  ],
  [
    'an intrinsic function',
    { Resources: { Queue: { Type: 'AWS::SQS::Queue', Properties: { QueueName: { 'Fn::GetAZs': '' } } } } },
    /QueueName: Fn::GetAZs/,
  ],
  [
    'an attribute',
    {
      Resources: {
        Queue: { Type: 'AWS::SQS::Queue', Properties: { QueueName: { 'Fn::GetAtt': ['Bus', 'Policy'] } } },
        Bus: { Type: 'AWS::Events::EventBus' },
      },
    },
    /no attribute Policy/,
  ],
  [
    'a dynamic reference',
    { Resources: { Queue: { Type: 'AWS::SQS::Queue', Properties: { QueueName: '{{resolve:ssm:a}}' } } } },
    /dynamic references/,
  ],
];

for (const [what, template, message] of unknown) {
  test(`stops at ${what} that it does not know, and says where it is`, () => {
    assert.throws(
      () => read({ one: template }),
      (error) => error instanceof UnknownTemplate && message.test(error.message),
    );
  });
}
