import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseGcCallback } from '../../../../functions/shared/whatsapp/notifications.ts';

const complete = { messages_deleted: 11, status: 'complete' };

test('reads a node of Multiconnect, and a single instance, which names none', () => {
  const node = 'wacore2:9dfe77618dba';
  assert.deepEqual(
    parseGcCallback({ services: [{ message: { gc: { ...complete, node } } }] }).notifications,
    [{ kind: 'message', node, status: 'complete', deleted: 11, errors: [] }],
  );
  assert.equal(
    parseGcCallback({ services: [{ message: { gc: complete } }] }).notifications[0]?.node,
    'single instance',
  );
});

test("tells the kinds apart by the count's name, for Meta shows media's success under message", () => {
  const kinds = [
    { message: { gc: complete } },
    { message: { gc: { items_deleted: 5, status: 'complete' } } },
    { media: { gc: { items_deleted: 5, status: 'complete' } } },
    { media: { gc: { status: 'failed' } } },
    { message: { gc: { status: 'complete' } } },
  ].map((service) => parseGcCallback({ services: [service] }).notifications[0]?.kind);
  assert.deepEqual(kinds, ['message', 'media', 'media', 'media', 'unsaid']);
});

test('a failure is read with its reasons, and errors mean failure whatever the status says', () => {
  const errors = [{ code: 1014, details: 'Could not delete media files' }, { details: 'disk full' }];
  for (const status of ['failed', 'complete'])
    assert.deepEqual(
      parseGcCallback({ services: [{ media: { gc: { items_deleted: 0, errors, status } } }] }).notifications,
      [
        {
          kind: 'media',
          node: 'single instance',
          status: 'failed',
          deleted: 0,
          errors: ['1014 Could not delete media files', 'disk full'],
        },
      ],
    );
});

test('what is none, or of an unknown form, is not read as one', () => {
  for (const callback of [
    undefined,
    null,
    'text',
    {},
    { services: {} },
    { services: [{ message: { gc: { status: 'banana' } } }] },
    { services: [{ message: { gc: { messages_deleted: 'many', status: 'complete' } } }] },
  ])
    assert.deepEqual(
      parseGcCallback(callback),
      { notifications: [], unreadable: 1 },
      JSON.stringify(callback),
    );
});

test('each entry is read by itself: an odd one spoils none beside it, and is counted', () => {
  for (const [odd, count] of [
    [{ message: { gc: { status: 'banana' } } }, 1],
    [{ message: { gc: { ...complete, messages_deleted: -1 } } }, 1],
    [{ message: null }, 1],
    ['text', 1],
    [null, 1],
    [{ message: { gc: null }, media: 'text' }, 2],
    [{ message: { state: 'idle' } }, 0],
  ] as const)
    for (const services of [
      [{ message: { gc: complete } }, odd],
      [odd, { message: { gc: complete } }],
    ]) {
      const { notifications, unreadable } = parseGcCallback({ services });
      assert.deepEqual(
        [notifications.map(({ deleted }) => deleted), unreadable],
        [[11], count],
        JSON.stringify(services),
      );
    }
});

test('errors are errors, of whatever form they are, and short', () => {
  const told = (errors: unknown) =>
    parseGcCallback({ services: [{ message: { gc: { status: 'failed', errors } } }] }).notifications[0]
      ?.errors;
  assert.deepEqual(told([{ code: '1014', details: null, title: 'Internal error' }]), ['1014 Internal error']);
  assert.deepEqual(told(['disk full', null, 7, {}]), ['disk full', 'an error that says nothing', '7']);
  assert.deepEqual(told(null), []);
  assert.equal(told([{ details: 'x'.repeat(9000) }])?.[0]?.length, 500);
});
