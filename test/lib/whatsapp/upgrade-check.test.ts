import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Duration, Stack, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import type { UpgradeCheckSettings } from '../../../functions/upgrade-check/contract.ts';
import { entryFile } from '../../../lib/entry-file.ts';
import { Upkeep } from '../../../lib/upkeep.ts';
import { UpkeepJob } from '../../../lib/upkeep-job.ts';
import type { ClientDatabases } from '../../../lib/whatsapp/client-databases.ts';
import { UpgradeCheck, type UpgradeCheckProps } from '../../../lib/whatsapp/upgrade-check.ts';
import { brokenLinks, roleStatements } from '../links.ts';
import { networkIn } from '../network.ts';
import {
  appWithoutBundles,
  ofType,
  resourcesOf,
  settingsOf as settingsOfFunction,
  textOf,
} from '../template.ts';

const SECRET = 'arn:aws:secretsmanager:eu-central-1:111111111111:secret:database/size-a1B2c3';

function databases(prefix: string, mediaDatabases?: string[]): ClientDatabases {
  return {
    prefix,
    database: {
      engine: 'aurora-mysql',
      host: 'database.internal',
      port: 3306,
      certificateAuthority: 'rds',
    },
    secretArn: SECRET,
    ...(mediaDatabases && { mediaDatabases }),
  };
}

function checked(change: Partial<UpgradeCheckProps> = {}, withGc = true) {
  const app = appWithoutBundles();
  const stack = new Stack(app, 'Check', { env: { account: '111111111111', region: 'eu-central-1' } });
  const upkeep = new Upkeep(stack, 'Upkeep', {
    deployment: 'shop',
    timeZone: 'Europe/Berlin',
    window: { from: '01:00', to: '05:00' },
  });
  const messageGc = withGc
    ? new UpkeepJob(stack, 'MessageGc', {
        upkeep,
        job: 'message-gc',
        description: 'Any durable function will do for the template',
        entry: entryFile('message-gc'),
        settings: {},
        schedule: { at: '01:30' },
        timeLimit: Duration.hours(2),
      })
    : undefined;
  const check = new UpgradeCheck(stack, 'UpgradeCheck', {
    upkeep,
    sets: [databases('wa1_')],
    network: networkIn(stack),
    messageGc,
    services: { clusterName: 'whatsapp', names: ['webapp', 'coreapp'] },
    storage: [{ host: 'database.internal', identifier: 'whatsapp' }],
    ...change,
  });
  return { app, stack, check };
}

const settingsOf = (stack: Stack) =>
  settingsOfFunction<UpgradeCheckSettings>(resourcesOf(stack), 'shop-upgrade-check');

describe('upgrade-check of a client', () => {
  it('looks at messages and media, by their whole names, and at what it is told of', () => {
    const { sets, ...settings } = settingsOf(checked().stack);
    assert.deepEqual(settings, {
      deployment: 'shop',
      maximumRows: 2_000_000,
      storage: [{ host: 'database.internal', identifier: 'whatsapp' }],
      startRunArn: 'arn:aws:lambda:eu-central-1:111111111111:function:shop-start-run',
      readingJobs: ['upgrade-check', 'database-size'],
      otherJobs: [
        {
          job: 'message-gc',
          functionArn: 'arn:aws:lambda:eu-central-1:111111111111:function:shop-message-gc',
        },
      ],
      services: {
        clusterArn: 'arn:aws:ecs:eu-central-1:111111111111:cluster/whatsapp',
        names: ['webapp', 'coreapp'],
      },
      cleaning: {
        job: 'message-gc',
        functionArn: 'arn:aws:lambda:eu-central-1:111111111111:function:shop-message-gc',
        tables: ['messages'],
        maximumAgeHours: 24,
      },
    });
    assert.deepEqual(
      sets[0]?.tables.map(({ table, figure }) => [table, figure]),
      [
        ['messages', 'messageRows'],
        ['media', 'mediaRows'],
      ],
    );
    assert.ok(sets[0]?.databases.includes('wa1_contactStore'));
  });

  it('has no schedule, and no alarm on a run that is missing', () => {
    const { stack, check } = checked({}, false);
    const resources = resourcesOf(stack);
    assert.deepEqual(ofType(resources, 'AWS::Scheduler::Schedule'), []);
    assert.equal(check.job.schedule, undefined);
    assert.equal(check.job.missedAlarm, undefined);
    const alarms = ofType(resources, 'AWS::CloudWatch::Alarm').map(([, { Properties: alarm }]) => alarm);
    assert.deepEqual(
      alarms
        .map(({ AlarmName: name }) => String(name))
        .filter((name) => name.includes('upgrade-check'))
        .sort(),
      ['crashing', 'dead-letters', 'failed', 'lost', 'partial'].map((kind) => `shop-upgrade-check-${kind}`),
    );
    for (const { AlarmName: name, AlarmDescription: description } of alarms)
      if (name.includes('upgrade-check'))
        assert.doesNotMatch(description, /scheduled run|inside the downtime window/, name);
  });

  it('may start at any time, which start-run knows', () => {
    const resources = resourcesOf(checked().stack);
    const [startRun] = ofType(resources, 'AWS::Lambda::Function').filter(
      ([, { Properties: properties }]) => properties.FunctionName === 'shop-start-run',
    );
    const { jobs } = JSON.parse(
      textOf(startRun?.[1].Properties.Environment.Variables.UPKEEP_SETTINGS, resources),
    );
    assert.equal(jobs['upgrade-check'].outsideWindow, true);
    assert.deepEqual(jobs['upgrade-check'].conflictsWith, []);
    assert.equal(jobs['message-gc'].outsideWindow, undefined);
  });

  it('may read what it looks at and start runs by start-run, and nothing else of its own', () => {
    const { stack } = checked();
    const resources = resourcesOf(stack);
    const role = Object.keys(resources).find((id) => /^UpgradeCheckJobFunctionRole\w{8}$/.test(id));
    const general = /WriteLog|KeepDurableState|PublishReport|Vpc|NotTheCode|DeadLetter/;
    assert.deepEqual(
      roleStatements(resources, role ?? '')
        .filter(({ Sid, Action }) => !general.test(Sid ?? '') && !Action.includes('sqs:SendMessage'))
        .map(({ Action, Resource }) => `${Action.join()} on ${textOf(Resource, resources)}`),
      [
        'events:PutEvents on arn:aws:events:eu-central-1:111111111111:event-bus/default',
        `secretsmanager:GetSecretValue on ${SECRET}`,
        'cloudwatch:GetMetricData on *',
        'ecs:DescribeServices on arn:aws:ecs:eu-central-1:111111111111:service/whatsapp/webapp, arn:aws:ecs:eu-central-1:111111111111:service/whatsapp/coreapp',
        'lambda:ListDurableExecutionsByFunction,lambda:ListVersionsByFunction on arn:aws:lambda:eu-central-1:111111111111:function:shop-message-gc, arn:aws:lambda:eu-central-1:111111111111:function:shop-message-gc:*',
        'lambda:InvokeFunction on arn:aws:lambda:eu-central-1:111111111111:function:shop-start-run',
        'lambda:GetDurableExecution on arn:aws:lambda:eu-central-1:111111111111:function:shop-message-gc:*',
      ],
    );
    const without = checked({ services: undefined }, false).stack;
    const text = JSON.stringify(roleStatements(resourcesOf(without), role ?? ''));
    assert.doesNotMatch(text, /ecs:|GetDurableExecution"/);
  });

  it('has all its links, and passes the rules of CloudFormation and of cdk-nag', () => {
    const { app, stack } = checked();
    Validations.of(app).addPlugins(new AwsSolutionsChecks());
    app.synth();
    assert.deepEqual(brokenLinks(resourcesOf(stack)), []);
  });

  it('refuses more sets than fit into an environment, before Lambda does', () => {
    const sets = Array.from({ length: 12 }, (_, index) => databases(`wa${index}_`));
    assert.throws(
      () => checked({ sets }),
      /the settings of 12 sets of databases take \d{4} bytes, of which 3968 fit/,
    );
  });

  it('offers the answer as a metric', () => {
    const { stack, check } = checked();
    const metric = check.metricMayBeUpgraded();
    assert.equal(metric.metricName, 'MayBeUpgraded');
    assert.deepEqual(stack.resolve(metric.dimensions), { deployment: 'shop', job: 'upgrade-check' });
  });
});
