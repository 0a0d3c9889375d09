import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Duration, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { LogCleanup, Upkeep } from '../../../lib/index.ts';
import { appWithoutBundles, ofType, resourcesOf, settingsOf } from '../template.ts';

describe('the log clean-up', () => {
  const stack = () => {
    const stack = new Stack(appWithoutBundles(), 'Shop', {
      env: { account: '111111111111', region: 'eu-west-1' },
    });
    const upkeep = new Upkeep(stack, 'Upkeep', {
      deployment: 'shop',
      timeZone: 'Europe/Paris',
      window: { from: '01:00', to: '05:00' },
    });
    new LogCleanup(stack, 'LogCleanup', {
      upkeep,
      cluster: 'shop',
      roles: {
        webapp: { services: ['web'], container: 'wa-web' },
        coreapp: { services: ['core'], container: 'wa-coreapp', logs: ['/logs'], archive: '/logs/old' },
      },
      schedule: { at: '03:00' },
      timeout: Duration.minutes(10),
    });
    return stack;
  };

  it('keeps to the rotation rules of the client, by role', () => {
    const settings = settingsOf(resourcesOf(stack()), 'shop-log-cleanup');
    assert.equal(settings.timeoutSeconds, 600);
    assert.deepEqual(settings.roles, [
      {
        name: 'webapp',
        services: ['web'],
        container: 'wa-web',
        script: '/opt/whatsapp/bin/cleanup.sh',
        logs: ['/var/log/whatsapp', '/var/log/lighttpd'],
        archive: '/var/log/whatsapp/archive',
        rotation: { maximumBytes: 20 * 1024 * 1024, keptFiles: 30 },
      },
      {
        name: 'coreapp',
        services: ['core'],
        container: 'wa-coreapp',
        script: '/opt/whatsapp/bin/cleanup.sh',
        logs: ['/logs'],
        archive: '/logs/old',
        rotation: { maximumBytes: 15 * 1024 * 1024, keptFiles: 30 },
      },
    ]);
  });

  it('rings when a log file system is nearly full, until a later run finds it otherwise', () => {
    Template.fromStack(stack()).hasResourceProperties('AWS::CloudWatch::Alarm', {
      AlarmName: 'shop-log-cleanup-nearly-full',
      MetricName: 'LowestFreePercent',
      Statistic: 'Minimum',
      ComparisonOperator: 'LessThanThreshold',
      Threshold: 15,
      TreatMissingData: 'ignore',
    });
  });

  it('does not start while a credential rotation restarts the containers', () => {
    const [, start] =
      ofType(resourcesOf(stack()), 'AWS::Lambda::Function').find(
        ([, { Properties }]) => Properties.FunctionName === 'shop-start-run',
      ) ?? [];
    assert.match(
      JSON.stringify(start?.Properties.Environment),
      /conflictsWith\\*":\[\\*"credential-rotation/,
    );
  });
});
