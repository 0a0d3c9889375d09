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
