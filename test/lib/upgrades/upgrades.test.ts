import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Deployment } from '../../../lib/whatsapp/configuration/configuration.ts';
import { costPage } from '../../docs/cost.ts';
import { type Deployed, lost, RELEASED, type Release, release, taken } from './released.ts';

const now = release();
/** Of one deployment. */
const emea: Release = Object.fromEntries(
  Object.entries(now).filter(([stack]) => stack.startsWith('upkeep-emea')),
);

/** Those of one stack for which something holds. */
function dataIn(stack: string, releases: Release, holds: (resource: Deployed) => boolean): string[] {
  return Object.values(releases[stack] ?? {}).flatMap((resource) =>
    resource.fixed !== undefined && holds(resource) ? [resource.name ?? resource.type] : [],
  );
}

test('a deploy over the last release replaces and deletes no resource with data, and moves no name to another resource', () => {
  const last: Release = JSON.parse(readFileSync(RELEASED, 'utf8'));
  assert.ok(Object.keys(last).length >= 4);
  assert.deepEqual(lost(last, now), []);
  assert.deepEqual(taken(last, now), []);
});

test('docs/cost.md is what the templates, the calls and the prices come to', () => {
  const page = readFileSync('docs/cost.md', 'utf8');
  assert.equal(page, costPage(page, now));
});

test('a renamed deployment is a new one beside the old: nothing of that is touched, no name meets another', () => {
  const renamed = release('emea', (deployment) => ({ ...deployment, name: 'europe' }));
  assert.deepEqual(
    Object.keys(renamed).filter((stack) => !(stack in now)),
    ['upkeep-europe', 'upkeep-europe-media'],
  );
  assert.deepEqual(taken(now, renamed), []);
  // Its old stacks are there until somebody deletes them, and the media and their key after that.
  assert.deepEqual(
    dataIn('upkeep-emea-media', now, ({ isKept }) => !isKept),
    [],
  );
  assert.deepEqual(dataIn('upkeep-emea-media', now, ({ isKept }) => isKept === true).sort(), [
    'AWS::EFS::FileSystem',
    'AWS::KMS::Key',
  ]);
});

test('a job that is taken out takes its function along, and leaves its log and its letters', () => {
  const without = release('emea', (deployment) => {
    const { logCleanup: _, ...jobs } = deployment.jobs;
    return { ...deployment, jobs };
  });
  const [[id] = []] = Object.entries(emea['upkeep-emea'] ?? {}).filter(
    ([, { type, name }]) => type === 'AWS::Lambda::Function' && name === 'emea-log-cleanup',
  );
  assert.deepEqual(lost(emea, without), [`upkeep-emea/${id} (AWS::Lambda::Function) is deleted`]);
  assert.deepEqual(taken(emea, without), []);
});

test('another engine, strategy or schedule replaces no resource with data', () => {
  const change = (deployment: Deployment): Deployment => {
    const { messageGc, credentialRotation, ...jobs } = deployment.jobs;
    assert.ok(messageGc && credentialRotation);
    return {
      ...deployment,
      databases: deployment.databases?.map((each) => ({ ...each, engine: 'mysql' as const })),
      jobs: {
        ...jobs,
        messageGc: { ...messageGc, schedule: { ...messageGc.schedule, at: '01:00' } },
        credentialRotation: { ...credentialRotation, strategy: { kind: 'dual-password' } },
      },
    };
  };
  const other = release('emea', change);
  assert.deepEqual(lost(emea, other), []);
  assert.deepEqual(taken(emea, other), []);
});

test('another key for all else leaves a created media volume its own, where that was said', () => {
  const aws = (encryption?: 'customer-managed') =>
    release('emea', (deployment) => {
      const { mediaVolume } = deployment;
      assert.ok(mediaVolume?.create);
      return {
        ...deployment,
        encryption: 'aws',
        mediaVolume: { ...mediaVolume, create: { ...mediaVolume.create, ...(encryption && { encryption }) } },
      };
    });
  const media = (losses: string[]) => losses.filter((loss) => loss.startsWith('upkeep-emea-media/'));
  assert.ok(media(lost(emea, aws())).some((loss) => loss.includes('(AWS::EFS::FileSystem) is replaced')));
  assert.deepEqual(media(lost(emea, aws('customer-managed'))), []);
});
