import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DURABLE_REGIONS } from '../../lib/durable-regions.ts';
import { rdsRootProblems, regionsWithRdsRoot } from '../../lib/rds-roots.ts';
import sample from '../../upkeep.config.ts';
import { changed, mistakesOf } from './whatsapp/configuration/mistaken.ts';

test('each region that may be configured has a root of Amazon RDS along, or is refused with where to get it', () => {
  assert.ok(regionsWithRdsRoot().size > 20);
  const without = DURABLE_REGIONS.filter((region) => !regionsWithRdsRoot().has(region));
  // A newer version of the list may bring them: then they are no longer refused.
  assert.deepEqual(without, ['ap-southeast-5', 'ap-southeast-7']);
  for (const region of without)
    assert.match(rdsRootProblems(region).join(), new RegExp(`none of ${region}.*/${region}-bundle\\.pem`));
  for (const region of regionsWithRdsRoot()) assert.deepEqual(rdsRootProblems(region), []);
});

test('a configuration with "rds" in a region without one is refused by the field', () => {
  const at = sample.deployments.findIndex(({ databases }) =>
    databases?.some(({ certificateAuthority }) => certificateAuthority === 'rds'),
  );
  const text = mistakesOf(changed(`deployments.${at}.region`, 'ap-southeast-5')).join('\n');
  assert.match(
    text,
    /deployments\[\d\]\.databases\[0\]\.certificateAuthority is "rds", and among the certificates/,
  );
});
