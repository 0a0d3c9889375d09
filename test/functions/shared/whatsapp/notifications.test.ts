import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseGcNotifications } from '../../../../functions/shared/whatsapp/notifications.ts';

const complete = { messages_deleted: 11, status: 'complete' };

test('reads a node of Multiconnect, and a single instance, which names none', () => {
  const node = 'wacore2:9dfe77618dba';
  assert.deepEqual(parseGcNotifications({ services: [{ message: { gc: { ...complete, node } } }] }), [
    { kind: 'message', node, status: 'complete', deleted: 11, errors: [] },
  ]);
  assert.equal(
    parseGcNotifications({ services: [{ message: { gc: complete } }] })?.[0]?.node,
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
  ].map((service) => parseGcNotifications({ services: [service] })?.[0]?.kind);
  assert.deepEqual(kinds, ['message', 'media', 'media', 'media', 'unsaid']);
});

test('a failure is read with its reasons, and errors mean failure whatever the status says', () => {
  const errors = [{ code: 1014, details: 'Could not delete media files' }, { details: 'disk full' }];
  for (const status of ['failed', 'complete'])
    assert.deepEqual(
      parseGcNotifications({ services: [{ media: { gc: { items_deleted: 0, errors, status } } }] }),
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
    assert.equal(parseGcNotifications(callback), undefined, JSON.stringify(callback));
});
