import assert from 'node:assert/strict';
import { test } from 'node:test';
import { identityOf, runIdOf } from '../../../../functions/shared/run/identity.ts';

const scheduledFor = new Date('2026-11-25T03:30:00Z');

test("a run's name holds its deployment, job and scheduled time, in Lambda's alphabet", () => {
  const runId = runIdOf('latam', 'message-gc', scheduledFor);
  assert.equal(runId, 'latam-message-gc-20261125T033000Z');
  assert.match(runId, /^[a-zA-Z0-9-_]{1,64}$/);
});

test('the identity is read back from the name, also of a deployment whose name has hyphens', () => {
  for (const deployment of ['latam', 'latam-2', 'message-gc'])
    assert.deepEqual(identityOf(runIdOf(deployment, 'message-gc', scheduledFor), deployment), {
      job: 'message-gc',
      scheduledFor: '2026-11-25T03:30:00.000Z',
    });
});

test("a name made by somebody else, or another deployment's, has no identity here", () => {
  for (const name of [
    'by-hand',
    'emea-message-gc-20261125T033000Z',
    'latam-message-gc',
    'latam--20261125T033000Z',
  ])
    assert.equal(identityOf(name, 'latam'), undefined, name);
});

test('a name longer than Lambda allows is refused with what to shorten', () => {
  assert.throws(
    () => runIdOf('a'.repeat(40), 'message-gc', scheduledFor),
    /longer than the 64 characters.*shorten the deployment/,
  );
});
