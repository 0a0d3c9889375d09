import assert from 'node:assert/strict';
import { test } from 'node:test';
import { identityOf, runIdOf } from '../../../../functions/shared/run/identity.ts';

const scheduledFor = new Date('2026-11-25T03:30:00Z');

test("a run's name holds its deployment, job and scheduled time, in Lambda's alphabet", () => {
  const runId = runIdOf('latam', 'message-gc', { scheduledFor });
  assert.equal(runId, 'latam-message-gc-20261125T033000Z');
  assert.match(runId, /^[a-zA-Z0-9-_]{1,64}$/);
});

test('the identity is read back from the name, also of a deployment whose name has hyphens', () => {
  for (const deployment of ['latam', 'latam-2', 'message-gc'])
    assert.deepEqual(identityOf(runIdOf(deployment, 'message-gc', { scheduledFor }), deployment), {
      job: 'message-gc',
      scheduledFor: '2026-11-25T03:30:00.000Z',
    });
});

test('a run that is started by hand has a name of its own, the same for the same request, which no schedule can have', () => {
  const deployment = 'a'.repeat(24);
  const byHand = runIdOf(deployment, 'credential-rotation', { request: 'by somebody' });
  assert.match(byHand, /^a{24}-credential-rotation-manual-[0-9a-f]{9}$/);
  assert.equal(byHand, runIdOf(deployment, 'credential-rotation', { request: 'by somebody' }));
  assert.notEqual(byHand, runIdOf(deployment, 'credential-rotation', { request: 'by somebody else' }));
  assert.deepEqual(identityOf(byHand, deployment), { job: 'credential-rotation', scheduledFor: undefined });
  const scheduled = runIdOf(deployment, 'credential-rotation', { scheduledFor });
  assert.equal(byHand.length, scheduled.length, 'it takes no more of the 64 characters');
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
    () => runIdOf('a'.repeat(40), 'message-gc', { scheduledFor }),
    /longer than the 64 characters.*shorten the deployment/,
  );
});
