import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bakery, playMorning } from '../../examples/play-your-stack.ts';

test("another's stack is played as it stands: its schedules, its queue, its function under its own role", () =>
  playMorning((aws) => {
    assert.deepEqual(
      aws.logs.map(({ time, text }) => `${new Date(time).toISOString().slice(11, 16)} ${text}`),
      ['04:00 baking forty rolls'],
    );
    assert.deepEqual(aws.sqs.bodies('orders'), []);
    assert.deepEqual(aws.denials, []);
  }));

test('a permission that the stack forgot is refused as AWS would refuse it', () =>
  playMorning(
    (aws) => {
      assert.deepEqual(aws.sqs.bodies('orders'), ['forty rolls']);
      assert.match(
        aws.denials[0] ?? '',
        /baker.* is not authorized to perform: sqs:ReceiveMessage on resource: \S+:orders/,
      );
    },
    (app) => void bakery(app, { mayRead: false }),
  ));
