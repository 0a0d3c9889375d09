import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { planRuns } from '../../../bin/init/schedules.ts';
import { checkConfiguration } from '../../../lib/whatsapp/configuration/configuration.ts';

const CERTIFICATE = join(import.meta.dirname, '../../../certificates/latam.pem');
const SECRET = 'arn:aws:secretsmanager:eu-central-1:111111111111:secret:one-a1B2c3';

test('the times that init gives the jobs pass the checks, in long windows and short ones, where clocks change too', () => {
  const zones = ['UTC', 'Europe/Berlin', 'America/Santiago', 'Africa/Cairo', 'Asia/Kolkata'];
  const windows = ['01:00-05:00', '23:30-02:30', '02:00-04:00', '22:00-06:00', '00:00-02:00'];
  const mistakes = zones.flatMap((timeZone) =>
    windows.flatMap((text) => {
      const [from = '', to = ''] = text.split('-');
      const { logCleanup, credentialRotation, ...others } = planRuns({ from, to }, timeZone);
      const roles = { webapp: { services: ['web'], container: 'web' } };
      const configuration = {
        notifications: { silent: true },
        deployments: [
          {
            ...{
              name: 'shop',
              account: '111111111111',
              region: 'eu-central-1',
              timeZone,
              window: { from, to },
            },
            network: {
              vpcId: 'vpc-0a1b2c3d4e5f60001',
              subnets: [{ id: 'subnet-0a1b2c3d4e5f60001', availabilityZone: 'eu-central-1a' }],
              securityGroupIds: ['sg-0a1b2c3d4e5f60001'],
            },
            webApp: {
              url: 'https://webapp.internal',
              certificateAuthority: CERTIFICATE,
              apiUser: { secretArn: SECRET },
            },
            databases: [
              {
                ...{ prefix: '', engine: 'mysql', host: 'database.internal', port: 3306 },
                ...{ certificateAuthority: 'rds', user: { secretArn: SECRET } },
              },
            ],
            jobs: {
              ...others,
              logCleanup: { ...logCleanup, clusterName: 'shop', roles },
              credentialRotation: {
                ...credentialRotation,
                ...{ secret: { secretArn: SECRET }, strategy: { kind: 'dual-password' } },
                ...{ clusterName: 'shop', services: { webapp: ['web'] } },
              },
            },
          },
        ],
      };
      try {
        checkConfiguration(configuration, { file: `${text} in ${timeZone}`, folder: '.' });
        return [];
      } catch (error) {
        return [String(error)];
      }
    }),
  );
  assert.deepEqual(mistakes, []);
});
