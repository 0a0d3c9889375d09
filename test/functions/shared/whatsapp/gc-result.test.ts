import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gcResult } from '../../../../functions/shared/whatsapp/gc-result.ts';
import { SINGLE_INSTANCE } from '../../../../functions/shared/whatsapp/nodes.ts';
import type { GcKind } from '../../../../functions/shared/whatsapp/notifications.ts';
import type { GcSettings } from '../../../../functions/shared/whatsapp/settings.ts';

const settings: GcSettings = {
  deployment: 'shop',
  webApp: { url: 'https://webapp.internal', certificateAuthority: '', secretArn: '' },
  notificationsQueueUrl: '',
  gc: { maximumCalls: 1, pauseSeconds: 0, callbackTimeoutSeconds: 1 },
};

function resultOf(kind: GcKind, deleted: number, errors: string[]) {
  const heard = [{ kind, node: SINGLE_INSTANCE, deleted, status: 'failed' as const, errors }];
  return gcResult(kind, settings, {
    calls: [{ kind: 'answered', heard, missing: [], gone: [] }],
    awaited: [],
    ignored: 0,
    problems: [],
  });
}

test('media that could not be deleted send the reader to the media volume first', () => {
  const { outcome, figures, problems } = resultOf('media', 149, ['1014 Could not delete media files']);
  assert.equal(outcome, 'partial');
  assert.equal(figures.itemsDeleted, 149);
  const [problem] = problems;
  assert.equal(problem?.what, 'GC ended with errors: 1014 Could not delete media files.');
  assert.match(problem?.next ?? '', /^Look whether CoreApp can delete files on the media volume/);
});

test('messages that could not be deleted say nothing of files', () => {
  const { outcome, problems } = resultOf('message', 0, ['1014 Could not delete all messages']);
  assert.equal(outcome, 'failed');
  assert.match(problems[0]?.next ?? '', /^With more than 10 million rows in the table messages/);
});

test('what an earlier call left in doubt is told, for its count is in the figures, however the last call ended', () => {
  const heardOf = (deleted: number) => [
    { kind: 'message' as const, node: SINGLE_INSTANCE, deleted, status: 'complete' as const, errors: [] },
  ];
  for (const [doubts, says] of [
    [{ unnamed: [SINGLE_INSTANCE], undated: [] }, /names nobody.*cannot be told apart/],
    [{ unnamed: [], undated: [SINGLE_INSTANCE] }, /of an earlier run.*cannot be told apart/],
    [undefined, /More than one callback came.*cannot be told apart/],
  ] as const) {
    const doubt = doubts ? { doubts } : { doubtful: [SINGLE_INSTANCE] };
    const { outcome, figures, problems } = gcResult('message', settings, {
      calls: [
        { kind: 'answered', heard: heardOf(500_000), missing: [], gone: [], ...doubt },
        { kind: 'answered', heard: heardOf(7), missing: [], gone: [] },
      ],
      awaited: [],
      ignored: 0,
      problems: [],
    });
    assert.deepEqual([outcome, figures.messagesDeleted], ['succeeded', 500_007]);
    assert.deepEqual(
      problems.map(({ what }) => says.test(what)),
      [true],
    );
  }
});

test('a call in whose middle the function was ended says what came of it', () => {
  const of = (node: string, status: 'complete' | 'failed') => ({
    kind: 'message' as const,
    node,
    deleted: 5,
    status,
    errors: [],
  });
  const whats = (heard: ReturnType<typeof of>[]) =>
    gcResult('message', settings, {
      calls: [{ kind: 'interrupted', heard }],
      awaited: [],
      ignored: 0,
      problems: [],
    }).problems.map(({ what }) => what);
  assert.deepEqual(whats([of(SINGLE_INSTANCE, 'complete')]), []);
  assert.deepEqual(whats([of('a:1', 'complete'), of('b:2', 'failed')]), [
    'The function was ended while it asked for GC, and of which nodes is not known. Callbacks came of a:1 (complete); b:2 (failed).',
    'GC ended with errors: none were named.',
  ]);
});
