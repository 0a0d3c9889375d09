import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isComplete } from '../../../../functions/shared/whatsapp/gc-call.ts';
import { type Arrived, hear, NOTHING_HEARD } from '../../../../functions/shared/whatsapp/hear.ts';
import { SINGLE_INSTANCE } from '../../../../functions/shared/whatsapp/nodes.ts';
import { parseGcCallback } from '../../../../functions/shared/whatsapp/notifications.ts';

/** A callback, as the webhook put it on the bus. */
function arrived(callback: object, ...deployments: string[]): Arrived[] {
  return parseGcCallback(callback).notifications.map((notification) => ({ notification, deployments }));
}

const media = (gc: object, key = 'message') => ({ services: [{ [key]: { gc } }] });
const request = { kind: 'media' as const, deployment: 'shop', nodes: [SINGLE_INSTANCE] };

describe('of the callbacks that came, a request', () => {
  it('keeps on record what fits there, of as many nodes as a client has and whatever else comes', () => {
    const nodes = Array.from(
      { length: 33 },
      (_, number) => `whatsapp-production-coreapp-${number}:9dfe77618dba`,
    );
    const gc = (node: string) => ({
      services: [{ message: { gc: { messages_deleted: 123_456_789, node, status: 'complete' } } }],
    });
    const others = Array.from(
      { length: 5_000 },
      (_, number) => `somebody-elses-coreapp-${number}:9dfe77618dba`,
    );
    const { heard, setAside } = hear(
      { kind: 'message', deployment: 'shop', nodes },
      NOTHING_HEARD,
      [...others, ...nodes].flatMap((node) => arrived(gc(node))),
    );
    assert.equal(Object.keys(heard).length, 33);
    assert.equal(setAside.length, 5_000);
    // Beside it stand the receipt handles of one look.
    const handles = 300 * 400;
    assert.ok(Buffer.byteLength(JSON.stringify({ heard, setAside })) + handles < 262_144);
  });

  for (const { what, callback } of [
    { what: 'that names a node', callback: media({ items_deleted: 5, status: 'complete', node: 'core:1' }) },
    { what: 'without a count', callback: media({ status: 'complete' }) },
    { what: 'under the key media', callback: media({ status: 'complete' }, 'media') },
  ])
    it(`for media takes one ${what}`, () => {
      const { heard, setAside } = hear(request, NOTHING_HEARD, arrived(callback));
      assert.equal(heard[SINGLE_INSTANCE]?.status, 'complete');
      assert.deepEqual(setAside, []);
    });

  it('takes one just like the answer to an earlier request: a client that deletes in portions tells the same count of each', () => {
    const told = arrived(media({ items_deleted: 372, status: 'complete' }), 'shop');
    for (const { heard, setAside } of [1, 2].map(() => hear(request, NOTHING_HEARD, told))) {
      assert.equal(heard[SINGLE_INSTANCE]?.deleted, 372);
      assert.deepEqual(setAside, []);
    }
  });

  it('sets aside those of another deployment, of the other kind and of a node that was not asked, and says why', () => {
    const { heard, setAside } = hear(
      { kind: 'message', deployment: 'shop', nodes: ['core:1'] },
      NOTHING_HEARD,
      [
        ...arrived(media({ messages_deleted: 1, status: 'complete', node: 'core:1' }), 'bakery'),
        ...arrived(media({ items_deleted: 2, status: 'complete', node: 'core:1' })),
        ...arrived(media({ messages_deleted: 3, status: 'failed', node: 'core:2' }), 'shop'),
        ...arrived(media({ messages_deleted: 4, status: 'complete', node: 'core:1' }), 'shop'),
      ],
    );
    assert.equal(heard['core:1']?.deleted, 4);
    assert.deepEqual(setAside, [
      'message garbage collection of core:1: complete, 1 deleted (its event names bakery)',
      'media garbage collection of core:1: complete, 2 deleted (it is of media GC)',
      'message garbage collection of core:2: failed, 3 deleted (of core:1 was asked)',
    ]);
  });

  it('takes one that came twice, and doubts two that differ: they are no success', () => {
    const one = arrived(media({ items_deleted: 5, status: 'complete' }));
    const other = arrived(media({ items_deleted: 9, status: 'complete' }));
    const twice = hear(request, NOTHING_HEARD, [...one, ...one]);
    assert.deepEqual(twice.doubtful, []);
    const both = hear(request, twice, other);
    assert.deepEqual(both.doubtful, [SINGLE_INSTANCE]);
    const call = { kind: 'answered' as const, missing: [], gone: [], heard: Object.values(both.heard) };
    assert.equal(isComplete(call), true);
    assert.equal(isComplete({ ...call, doubtful: both.doubtful }), false);
  });

  it('believes one that names this deployment before those that name nobody, whichever comes first', () => {
    const ours = arrived(media({ items_deleted: 5, status: 'complete' }), 'shop');
    const neighbours = [
      arrived(media({ items_deleted: 9, status: 'failed' })),
      arrived(media({ items_deleted: 7, status: 'complete' }), 'shop', 'bakery'),
    ].flat();
    // In one look, and each in a look of its own.
    for (const arrivals of [
      [...ours, ...neighbours],
      [...neighbours, ...ours],
      [...neighbours.slice(1), ...ours, ...neighbours.slice(0, 1)],
    ])
      for (const looks of [[arrivals], arrivals.map((one) => [one])]) {
        const { heard, doubtful, unnamed, setAside } = looks.reduce(
          (before, look) => hear(request, before, look),
          NOTHING_HEARD,
        );
        assert.equal(heard[SINGLE_INSTANCE]?.deleted, 5);
        assert.deepEqual([doubtful, unnamed], [[], []]);
        assert.match(setAside.join(), /it names nobody, and another one is shown to be this deployment's/);
      }
    const differing = arrived(media({ items_deleted: 6, status: 'complete' }), 'shop');
    const both = hear(request, NOTHING_HEARD, [...ours, ...differing, ...neighbours]);
    assert.deepEqual(both.doubtful, [SINGLE_INSTANCE]);
  });

  it('tells one that names several deployments like one that names none, and looks past ARNs', () => {
    const callback = media({ items_deleted: 5, status: 'complete' });
    const bus = 'arn:aws:events:eu-central-1:123456789012:event-bus/shop-callbacks';
    const unnamed = (...resources: string[]) =>
      hear(request, NOTHING_HEARD, arrived(callback, ...resources)).unnamed;
    assert.deepEqual(unnamed('shop', 'shop', bus), []);
    for (const resources of [[], [bus], ['shop', 'bakery']])
      assert.deepEqual(unnamed(...resources), [SINGLE_INSTANCE], resources.join());
  });

  it('tells those that nothing shows to be of this deployment: no name in the event, and none of a node', () => {
    const complete = (node?: string) => media({ messages_deleted: 1, status: 'complete', node });
    const unnamedOf = (nodes: string[] | undefined, ...arrivals: Arrived[]) =>
      hear({ kind: 'message', deployment: 'shop', nodes }, NOTHING_HEARD, arrivals).unnamed;
    assert.deepEqual(unnamedOf([SINGLE_INSTANCE], ...arrived(complete())), [SINGLE_INSTANCE]);
    assert.deepEqual(unnamedOf([SINGLE_INSTANCE], ...arrived(complete(), 'shop')), []);
    assert.deepEqual(unnamedOf(['core:1'], ...arrived(complete('core:1'))), []);
    assert.deepEqual(unnamedOf(undefined, ...arrived(complete('core:1'))), ['core:1']);
    const { heard, unnamed } = hear(
      request,
      NOTHING_HEARD,
      arrived(media({ items_deleted: 5, status: 'complete' })),
    );
    assert.deepEqual(unnamed, [SINGLE_INSTANCE]);
    const doubts = { unnamed, undated: [] };
    assert.equal(
      isComplete({ kind: 'answered', heard: Object.values(heard), missing: [], gone: [], doubts }),
      false,
    );
    assert.equal(isComplete({ kind: 'interrupted', heard: Object.values(heard), doubts }), false);
  });

  it('is not complete when nothing was heard of nobody', () =>
    assert.equal(isComplete({ kind: 'answered', heard: [], missing: [], gone: [] }), false));
});

it('a count that is no count is not of the known form', () => {
  for (const items_deleted of [-5, 1.5, 'five', null])
    assert.deepEqual(parseGcCallback(media({ items_deleted, status: 'complete' })), {
      notifications: [],
      unreadable: 1,
    });
});
