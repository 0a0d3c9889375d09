import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DURABLE_REGIONS } from '../../lib/durable-regions.ts';
import { rdsRootProblems, regionsWithRdsRoot } from '../../lib/rds-roots.ts';
import { checkConfiguration } from '../../lib/whatsapp/configuration/configuration.ts';
import sample from '../../upkeep.config.ts';

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
  const [deployment] = sample.deployments;
  const configuration = {
    ...sample,
    deployments: [{ ...deployment, region: 'ap-southeast-5' }],
  };
  const text = (() => {
    try {
      checkConfiguration(configuration, new URL('../../', import.meta.url).pathname);
      return '';
    } catch (error) {
      return String(error);
    }
  })();
  assert.match(
    text,
    /deployments\[0\]\.databases\[0\]\.certificateAuthority is "rds", and among the certificates/,
  );
});
