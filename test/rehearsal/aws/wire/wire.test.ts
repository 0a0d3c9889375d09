import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as lambdaClient from '@aws-sdk/client-lambda';
import * as snsClient from '@aws-sdk/client-sns';
import * as sqsClient from '@aws-sdk/client-sqs';
import { readQuery, writeQuery } from '../../../../rehearsal/aws/wire/query.ts';
import { readRest, writeRest } from '../../../../rehearsal/aws/wire/rest.ts';
import { readCbor, readJson, writeCbor, writeJson } from '../../../../rehearsal/aws/wire/rpc.ts';
import { type OperationShape, operationsOf } from '../../../../rehearsal/aws/wire/shape.ts';

const [lambda, sns, sqs] = [lambdaClient, snsClient, sqsClient].map(operationsOf);
const ARN = 'arn:aws:lambda:eu-central-1:123456789012:function:job:1/durable-execution/night/1';

function operation(operations: Map<string, OperationShape> | undefined, name: string): OperationShape {
  const found = operations?.get(name);
  assert.ok(found, `the client has no ${name}`);
  return found;
}

const body = (value: unknown) => Buffer.from(JSON.stringify(value));
const receive = operation(sqs, 'ReceiveMessage');
const AT = new Date('2027-01-10T12:00:00Z');

test('reads a REST request by method, path, query, headers and body', () => {
  assert.ok(lambda);
  const checkpoint = readRest(lambda, {
    method: 'POST',
    url: new URL(`http://a/2025-12-01/durable-executions/${encodeURIComponent(ARN)}/checkpoint`),
    headers: {},
    body: body({ CheckpointToken: 't', Updates: [{ Id: '1', Type: 'STEP', Action: 'START' }] }),
  });
  assert.equal(checkpoint?.operation.name, 'CheckpointDurableExecution');
  assert.deepEqual(checkpoint.input, {
    DurableExecutionArn: ARN,
    CheckpointToken: 't',
    Updates: [{ Id: '1', Type: 'STEP', Action: 'START' }],
  });
  const invoke = readRest(lambda, {
    method: 'POST',
    url: new URL('http://a/2015-03-31/functions/job/invocations?Qualifier=live'),
    headers: { 'x-amz-invocation-type': 'Event' },
    body: Buffer.from('{"a":1}'),
  });
  assert.equal(invoke?.operation.name, 'Invoke');
  assert.deepEqual(invoke.input, {
    FunctionName: 'job',
    Qualifier: 'live',
    InvocationType: 'Event',
    Payload: new Uint8Array(Buffer.from('{"a":1}')),
  });
  assert.equal(
    readRest(lambda, { method: 'GET', url: new URL('http://a/nowhere'), headers: {}, body: Buffer.alloc(0) }),
    undefined,
  );
});

test('binds a REST answer to status, headers and payload', () => {
  const answer = writeRest(operation(lambda, 'Invoke'), {
    StatusCode: 202,
    DurableExecutionArn: ARN,
    Payload: Buffer.from('null'),
  });
  assert.equal(answer.status, 202);
  assert.equal(answer.headers['x-amz-durable-execution-arn'], ARN);
  assert.deepEqual(answer.body, Buffer.from('null'));
});

test('writes times as JSON has them, and refuses what the schema does not have', () => {
  const execution = operation(lambda, 'StopDurableExecution');
  assert.equal(writeRest(execution, { StopTimestamp: AT }).body, `{"StopTimestamp":${AT.getTime() / 1000}}`);
  assert.throws(() => writeRest(execution, { StopTimestamp: 'now' }), /should be a Date/);
  assert.throws(() => writeRest(execution, {}), /lacks the required member StopTimestamp/);
  assert.throws(() => writeJson(receive, { Messages: [{ Text: 'a' }] }), /has no member Text/);
});

test('refuses a request with a member that the schema lacks, of the wrong type, or without a required one', () => {
  assert.throws(() => readJson(receive, body({ QueueUrl: 'q', Filter: 1 })), /has no member Filter/);
  assert.throws(() => readJson(receive, body({ QueueUrl: 1 })), /should be a string/);
  assert.throws(
    () => readJson(receive, body({ MaxNumberOfMessages: 1 })),
    /lacks the required member QueueUrl/,
  );
  assert.throws(() => readJson(receive, Buffer.from('{')), /is not what/);
});

test('reads the lists and maps of a query request, and writes XML', () => {
  const publish = operation(sns, 'Publish');
  const form = new URLSearchParams({
    Action: 'Publish',
    Message: 'm',
    'MessageAttributes.entry.1.Name': 'a',
    'MessageAttributes.entry.1.Value.DataType': 'String',
    'MessageAttributes.entry.1.Value.StringValue': 's',
  });
  assert.deepEqual(readQuery(publish, form), {
    Message: 'm',
    MessageAttributes: { a: { DataType: 'String', StringValue: 's' } },
  });
  const xml = writeQuery(operation(sns, 'ListTopics'), { Topics: [{ TopicArn: 'a<b' }] }, 'http://n/', 'r');
  assert.match(xml, /<ListTopicsResult><Topics><member><TopicArn>a&lt;b<\/TopicArn><\/member><\/Topics>/);
});

test('reads and writes what SQS flattens in its query protocol, which AWS CLI 2.9 speaks', () => {
  const attributes = operation(sqs, 'GetQueueAttributes');
  assert.deepEqual(
    readQuery(
      attributes,
      new URLSearchParams('Action=GetQueueAttributes&QueueUrl=u&AttributeName.1=All&AttributeName.2=Policy'),
    ),
    { QueueUrl: 'u', AttributeNames: ['All', 'Policy'] },
  );
  assert.match(
    writeQuery(attributes, { Attributes: { VisibilityTimeout: '30', Policy: '<>' } }, 'n', 'r'),
    /<GetQueueAttributesResult><Attribute><Name>VisibilityTimeout<\/Name><Value>30<\/Value><\/Attribute><Attribute><Name>Policy<\/Name><Value>&lt;&gt;<\/Value><\/Attribute><\/GetQueueAttributesResult>/,
  );
  assert.match(
    writeQuery(operation(sqs, 'ListQueues'), { QueueUrls: ['a', 'b'] }, 'n', 'r'),
    /<ListQueuesResult><QueueUrl>a<\/QueueUrl><QueueUrl>b<\/QueueUrl><\/ListQueuesResult>/,
  );
  assert.deepEqual(
    readQuery(
      operation(sqs, 'SetQueueAttributes'),
      new URLSearchParams('QueueUrl=u&Attribute.1.Name=VisibilityTimeout&Attribute.1.Value=40'),
    ),
    { QueueUrl: 'u', Attributes: { VisibilityTimeout: '40' } },
  );
  assert.match(
    writeQuery(
      receive,
      { Messages: [{ MessageId: 'm', Body: 'b', Attributes: { SentTimestamp: '1' } }] },
      'n',
      'r',
    ),
    /<Message><MessageId>m<\/MessageId><Body>b<\/Body><Attribute><Name>SentTimestamp<\/Name><Value>1<\/Value><\/Attribute><\/Message>/,
  );
});

test('writes CBOR that it reads again', () => {
  const answer = writeCbor(receive, { Messages: [{ Body: 'grün' }] });
  assert.ok(answer.length > 0);
  const request = writeCbor({ ...receive, output: receive.input }, { QueueUrl: 'q', MaxNumberOfMessages: 3 });
  assert.deepEqual(readCbor(receive, Buffer.from(request)), { QueueUrl: 'q', MaxNumberOfMessages: 3 });
});
