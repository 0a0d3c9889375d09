import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { Aws } from 'aws-cdk-lib';
import { DURABLE_REGIONS } from '../../lib/durable-regions.ts';
import { rdsRegionsOf, rdsRootProblems, rdsRoots, regionsWithRdsRoot } from '../../lib/rds-roots.ts';
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

test("the regions whose roots a function needs are those in its servers' names, or else the stack's", () => {
  const rds = (host: string) => ({ host, certificateAuthority: 'rds' });
  const here = rds('shop.abc123.eu-west-1.rds.amazonaws.com');
  const there = rds('shop.cluster-abc123.ap-southeast-2.rds.amazonaws.com');
  assert.deepEqual(rdsRegionsOf([here, there], 'eu-central-1'), ['ap-southeast-2', 'eu-west-1']);
  assert.deepEqual(rdsRegionsOf([rds('database.shop.internal')], 'eu-central-1'), ['eu-central-1']);
  assert.deepEqual(rdsRegionsOf([{ host: 'database', certificateAuthority: 'PEM' }], 'eu-central-1'), []);
  assert.equal(rdsRegionsOf([rds('database.shop.internal')], Aws.REGION), undefined);
});

test('roots that have ended are not among them', () => {
  for (const pem of rdsRoots([...regionsWithRdsRoot()]))
    assert.ok(new X509Certificate(pem).validToDate.getFullYear() > 2030, pem);
});
