// In one file though long: all of it is asked of the same few stacks, which take seconds to make.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { isOnlyShown } from '../../../functions/shared/run/only-shown.ts';
import { ENDPOINT_SERVICES } from '../../../lib/whatsapp/endpoint-services.ts';
import { ofType, type Resource, resourcesOf, sampleStack, textOf } from '../template.ts';

const latam = sampleStack('latam');
const emea = sampleStack('emea');
const [latamResources, emeaResources] = [resourcesOf(latam), resourcesOf(emea)];
const apacResources = resourcesOf(sampleStack('apac'));

describe('a deployment’s stack', () => {
  it('has the schedule in the deployment’s time zone, with retries and age that a night allows', () => {
    Template.fromStack(latam).hasResourceProperties('AWS::Scheduler::Schedule', {
      ScheduleExpression: 'cron(30 2 * * ? *)',
      ScheduleExpressionTimezone: 'America/Sao_Paulo',
      FlexibleTimeWindow: { Mode: 'FLEXIBLE', MaximumWindowInMinutes: 15 },
      Target: {
        Input: '{"job":"message-gc","deployment":"latam","scheduledFor":"<aws.scheduler.scheduled-time>"}',
        RetryPolicy: { MaximumRetryAttempts: 10, MaximumEventAgeInSeconds: 1500 },
      },
    });
  });

  it('keeps the version that a waiting run began with, when a deploy brings the next', () => {
    const versions = ofType(latamResources, 'AWS::Lambda::Version');
    assert.deepEqual(
      versions.map(([, { DeletionPolicy }]) => DeletionPolicy),
      ['Retain', 'Retain'],
    );
  });

  it('gives Lambda more time for a run than the run gives itself', () => {
    Template.fromStack(latam).hasResourceProperties('AWS::Lambda::Function', {
      FunctionName: 'latam-message-gc',
      DurableConfig: { ExecutionTimeout: (120 + 15) * 60, RetentionPeriodInDays: 30 },
      Runtime: 'nodejs24.x',
      Architectures: ['arm64'],
    });
    const startRun = settingsOf(latamResources, 'latam-start-run');
    assert.match(startRun, /"timeLimitSeconds":7200/);
  });

  it('has only message-gc in the VPC', () => {
    const inVpc = ofType(latamResources, 'AWS::Lambda::Function')
      .filter(([, { Properties: lambda }]) => lambda.VpcConfig)
      .map(([, { Properties: lambda }]) => lambda.FunctionName);
    assert.deepEqual(inVpc, ['latam-message-gc']);
  });

  it('tells message-gc what was configured, and fits into an environment', () => {
    const text = settingsOf(latamResources, 'latam-message-gc');
    const settings = JSON.parse(text.replaceAll(/[\n\r]/g, '\\n'));
    assert.deepEqual(
      { ...settings, webApp: { ...settings.webApp, certificateAuthority: '' } },
      {
        deployment: 'latam',
        webApp: {
          url: 'https://webapp.latam.internal',
          certificateAuthority: '',
          secretArn: 'arn:aws:secretsmanager:us-east-1:111111111111:secret:whatsapp/latam/api-user-a1B2c3',
        },
        notificationsQueueUrl: 'latam-gc-notifications',
        gc: { maximumCalls: 3, pauseSeconds: 60, callbackTimeoutSeconds: 1800 },
        markRead: {
          queueUrl: 'latam-unread-messages',
          olderThanSeconds: 86400,
          requestsPerSecond: 20,
          concurrency: 4,
        },
        watchWindow: {
          traffic: {
            namespace: 'AWS/NetworkELB',
            metricName: 'NewFlowCount',
            dimensions: { LoadBalancer: 'net/whatsapp-latam/0a1b2c3d4e5f6789' },
          },
          window: { from: '01:00', to: '05:00' },
          timeZone: 'America/Sao_Paulo',
        },
      },
    );
    // Lambda's limit is 4 KB; a certificate may have 3, and queue URLs are longer than the names here.
    assert.ok(text.length - settings.webApp.certificateAuthority.length < 900, String(text.length));
  });

  it('has the copies compared that the rotation delivers to, if there are any', () => {
    const { passwordCopies } = JSON.parse(settingsOf(apacResources, 'apac-database-size'));
    const { secretArn, copies } = JSON.parse(settingsOf(apacResources, 'apac-credential-rotation'));
    assert.equal(copies.length, 2);
    assert.deepEqual(passwordCopies, { secretArn, copies, deliverySeconds: 7200 });
    assert.equal(JSON.parse(settingsOf(emeaResources, 'emea-database-size')).passwordCopies, undefined);
  });

  it('has the weekly schedule on its day, and media GC never beside message GC', () => {
    Template.fromStack(emea).hasResourceProperties('AWS::Scheduler::Schedule', {
      ScheduleExpression: 'cron(30 23 ? * SUN *)',
      FlexibleTimeWindow: { Mode: 'OFF' },
      Target: {
        Input: '{"job":"media-gc","deployment":"emea","scheduledFor":"<aws.scheduler.scheduled-time>"}',
      },
    });
    const { jobs } = JSON.parse(settingsOf(emeaResources, 'emea-start-run'));
    assert.deepEqual(jobs['media-gc'].conflictsWith, ['message-gc', 'credential-rotation']);
    assert.deepEqual(jobs['message-gc'].conflictsWith, ['media-gc', 'credential-rotation']);
    const daily = sampleStack('emea', {
      jobs: {
        mediaGc: {
          schedule: { weekday: 'daily', at: '23:30', flexibleMinutes: 0 },
          timeLimitMinutes: 45,
          maximumCalls: 3,
          pauseSeconds: 60,
          callbackTimeoutMinutes: 30,
        },
      },
    });
    Template.fromStack(daily).hasResourceProperties('AWS::Scheduler::Schedule', {
      ScheduleExpression: 'cron(30 23 * * ? *)',
    });
  });

  it('keeps no inbound message where none is marked read', () => {
    // The queue is there for what came while they were, and lets nobody put anything into it.
    const [[queue] = []] = ofType(emeaResources, 'AWS::SQS::Queue').filter(
      ([, { Properties: queue }]) => queue.QueueName === 'emea-unread-messages',
    );
    assert.ok(queue);
    const policies = ofType(emeaResources, 'AWS::SQS::QueuePolicy').filter(([, { Properties: policy }]) =>
      policy.Queues.some(({ Ref }: { Ref: string }) => Ref === queue),
    );
    assert.equal(policies.length, 1);
    for (const [, { Properties: policy }] of policies)
      for (const { Effect } of policy.PolicyDocument.Statement) assert.equal(Effect, 'Deny');
    const patterns = ofType(emeaResources, 'AWS::Events::Rule').map(([, { Properties: rule }]) =>
      JSON.stringify(rule.EventPattern),
    );
    assert.equal(
      patterns.some((pattern) => pattern.includes('messages')),
      false,
    );
  });

  it('keeps a message that is too young for as many nights as SQS can', () => {
    Template.fromStack(latam).hasResourceProperties('AWS::SQS::Queue', {
      QueueName: 'latam-unread-messages',
      MessageRetentionPeriod: 14 * 24 * 3600,
      RedrivePolicy: { maxReceiveCount: 1000 },
    });
  });

  it('has every queue encrypted, with its time of keeping said, and TLS only', () => {
    for (const resources of [latamResources, emeaResources])
      for (const [id, { Properties: queue }] of ofType(resources, 'AWS::SQS::Queue')) {
        assert.ok(queue.SqsManagedSseEnabled === true || queue.KmsMasterKeyId, id);
        assert.ok(queue.MessageRetentionPeriod > 0, id);
        const tlsOnly = ofType(resources, 'AWS::SQS::QueuePolicy').some(
          ([, { Properties: policy }]) =>
            policy.Queues[0].Ref === id &&
            JSON.stringify(policy.PolicyDocument).includes('"aws:SecureTransport":"false"'),
        );
        assert.ok(tlsOnly, id);
      }
  });

  it('makes exactly the endpoints that its jobs call, where it is asked to', () => {
    const services = ofType(emeaResources, 'AWS::EC2::VPCEndpoint').map(([, { Properties: endpoint }]) => {
      assert.equal(endpoint.PrivateDnsEnabled, true);
      // With credentials of the account only: nothing is carried out of the VPC by somebody else's.
      assert.deepEqual(
        endpoint.PolicyDocument.Statement.map(({ Condition }: { Condition: unknown }) => Condition),
        [{ StringEquals: { 'aws:PrincipalAccount': '222222222222' } }],
      );
      return endpoint.ServiceName;
    });
    assert.deepEqual(
      services.sort(),
      [
        ...new Set([
          ...ENDPOINT_SERVICES['message-gc'],
          ...ENDPOINT_SERVICES['database-size'],
          ...ENDPOINT_SERVICES['credential-rotation'],
        ]),
      ]
        .map((service) => `com.amazonaws.eu-central-1.${service}`)
        .sort(),
    );
    assert.deepEqual(ofType(latamResources, 'AWS::EC2::VPCEndpoint'), []);
  });

  it('opens the endpoints to the functions, and to what is named besides', () => {
    const { network } = { network: { otherEndpointClients: ['sg-0a1b2c3d4e5f60009'] } };
    const stack = sampleStack('emea', {
      network: {
        vpcId: 'vpc-0a1b2c3d4e5f60002',
        subnets: [{ id: 'subnet-0a1b2c3d4e5f60003', availabilityZone: 'eu-central-1a' }],
        securityGroupIds: ['sg-0a1b2c3d4e5f60002'],
        endpoints: 'create',
        ...network,
      },
    });
    const ingress = ofType(resourcesOf(stack), 'AWS::EC2::SecurityGroupIngress').map(
      ([, { Properties: rule }]) => [rule.SourceSecurityGroupId, rule.FromPort, rule.ToPort],
    );
    assert.deepEqual(ingress.sort(), [
      ['sg-0a1b2c3d4e5f60002', 443, 443],
      ['sg-0a1b2c3d4e5f60009', 443, 443],
    ]);
  });

  it('lets the configured senders, and nobody else, put callbacks on the bus by its policy', () => {
    const stack = sampleStack('latam', {
      callbacks: { senders: ['333333333333', 'arn:aws:iam::111111111111:role/webhook'] },
    });
    Template.fromStack(stack).hasResourceProperties('AWS::Events::EventBusPolicy', {
      Statement: {
        Effect: 'Allow',
        Action: 'events:PutEvents',
        Condition: { StringEquals: { 'events:source': 'whatsapp' } },
        Principal: {
          AWS: [
            { 'Fn::Join': ['', ['arn:', { Ref: 'AWS::Partition' }, ':iam::333333333333:root']] },
            'arn:aws:iam::111111111111:role/webhook',
          ],
        },
      },
    });
    const silent = resourcesOf(sampleStack('latam', { callbacks: { senders: [] } }));
    assert.deepEqual(ofType(silent, 'AWS::Events::EventBusPolicy'), []);
  });

  it('reports a run that died, of whatever job and version, looks after one that gave up, after letters and after starts that failed, by a pattern that does not grow', () => {
    const functions = ['arn:', { Ref: 'AWS::Partition' }, ':lambda:us-east-1:111111111111:function:latam-'];
    Template.fromStack(latam).hasResourceProperties('AWS::Events::Rule', {
      EventPattern: {
        $or: [
          {
            source: ['aws.lambda'],
            'detail-type': ['Durable Execution Status Change'],
            detail: {
              status: ['FAILED', 'TIMED_OUT', 'STOPPED'],
              functionArn: [{ prefix: { 'Fn::Join': ['', functions] } }],
            },
          },
          {
            source: ['upkeep'],
            'detail-type': ['Run Report'],
            detail: { deployment: ['latam'], problems: { toldBy: { alarm: [{ prefix: 'latam-' }] } } },
          },
          {
            source: ['aws.cloudwatch'],
            'detail-type': ['CloudWatch Alarm State Change'],
            detail: {
              alarmName: [{ wildcard: 'latam-*-dead-letters' }],
              configuration: { description: [{ prefix: 'Lambda could not begin a run of ' }] },
              state: { value: ['ALARM'] },
            },
          },
          {
            source: ['aws.cloudwatch'],
            'detail-type': ['CloudWatch Alarm State Change'],
            detail: {
              alarmName: ['latam-start-run-dead-letters', 'latam-schedules-dead-letters'],
              $or: [{ state: { value: ['ALARM'] } }, { previousState: { value: ['ALARM'] } }],
            },
          },
        ],
      },
    });
    const settings = settingsOf(resourcesOf(latam), 'latam-report-lost-run');
    for (const job of ['message-gc', 'log-cleanup']) assert.match(settings, new RegExp(`"${job}`));
  });

  it('looks nothing up', () => {
    const app = App.of(latam);
    assert.ok(App.isApp(app));
    assert.deepEqual(app.synth().manifest.missing ?? [], []);
  });
});

function settingsOf(resources: Record<string, Resource>, functionName: string): string {
  const [, lambda] =
    ofType(resources, 'AWS::Lambda::Function').find(
      ([, { Properties: properties }]) => properties.FunctionName === functionName,
    ) ?? [];
  return textOf(lambda?.Properties.Environment.Variables.UPKEEP_SETTINGS, resources);
}

describe('alarms', () => {
  const alarms = ofType(latamResources, 'AWS::CloudWatch::Alarm').map(([, { Properties: alarm }]) => alarm);

  it('are these', () => {
    assert.deepEqual(alarms.map((alarm) => alarm.AlarmName).sort(), [
      'latam-callbacks-dead-letters',
      'latam-callbacks-undelivered-inbound',
      'latam-callbacks-undelivered-media-gc',
      'latam-callbacks-undelivered-message-gc',
      'latam-gc-notifications-dead-letters',
      'latam-log-cleanup-crashing',
      'latam-log-cleanup-dead-letters',
      'latam-log-cleanup-failed',
      'latam-log-cleanup-lost',
      'latam-log-cleanup-missed',
      'latam-log-cleanup-nearly-full',
      'latam-log-cleanup-not-ready',
      'latam-log-cleanup-partial',
      'latam-message-gc-certificate',
      'latam-message-gc-crashing',
      'latam-message-gc-dead-letters',
      'latam-message-gc-failed',
      'latam-message-gc-lost',
      'latam-message-gc-missed',
      'latam-message-gc-partial',
      'latam-message-gc-window',
      'latam-report-lost-run-dead-letters',
      'latam-report-lost-run-errors',
      'latam-schedules-dead-letters',
      'latam-start-run-dead-letters',
      'latam-start-run-errors',
      'latam-unread-messages-dead-letters',
    ]);
  });

  it('say what they mean and what to do, within CloudWatch’s 1,024 characters', () => {
    for (const alarm of alarms) {
      assert.match(alarm.AlarmDescription, /latam.*\n\n1\. /, alarm.AlarmName);
      assert.ok(alarm.AlarmDescription.length <= 1024);
    }
  });

  it('watch each dead-letter queue that there is', () => {
    const watched = alarms
      .flatMap((alarm) => [
        alarm,
        ...(alarm.Metrics ?? []).flatMap(
          ({ MetricStat: stat }: Resource['Properties']) => stat?.Metric ?? [],
        ),
      ])
      .map(({ Dimensions: dimensions }) => textOf(dimensions?.[0]?.Value, latamResources));
    // Of jobs that are not configured only what may have been left is kept.
    const functions = ofType(latamResources, 'AWS::Lambda::Function').map(
      ([, { Properties: lambda }]) => lambda.FunctionName,
    );
    const isOfNoJob = (queue: string) =>
      /-(media-gc|database-size|credential-rotation|application-settings|upgrade-check)-dead-letters$/.test(
        queue,
      ) && !functions.includes(queue.replace('-dead-letters', ''));
    const queues = ofType(latamResources, 'AWS::SQS::Queue').map(
      ([, { Properties: queue }]) => queue.QueueName,
    );
    for (const queue of queues.filter((name) => name.endsWith('dead-letters') && !isOfNoJob(name)))
      assert.ok(
        watched.some((name) => name === queue || name === `${queue}.QueueName`),
        queue,
      );
  });

  it('tell of a cause once: what another alarm tells of is shown alone, and says so', () => {
    const shown = alarms.filter(({ AlarmActions: actions }) => actions === undefined);
    assert.deepEqual(shown.map(({ AlarmName: name }) => name).sort(), [
      'latam-report-lost-run-errors',
      'latam-start-run-errors',
    ]);
    for (const alarm of alarms)
      assert.equal(isOnlyShown(alarm.AlarmDescription), shown.includes(alarm), alarm.AlarmName);
    // Of one certificate, which two jobs look at, and which one alone may.
    const certificates = ofType(emeaResources, 'AWS::CloudWatch::Alarm').flatMap(
      ([, { Properties: alarm }]) =>
        alarm.AlarmName.endsWith('-certificate') ? [[alarm.AlarmName, alarm.AlarmActions?.length ?? 0]] : [],
    );
    assert.deepEqual(certificates, [
      ['emea-message-gc-certificate', 1],
      ['emea-media-gc-certificate', 0],
    ]);
  });

  it('notice a run that never succeeded, in time and not before: hour by hour, missing hours as zero', () => {
    const missed = alarms.find((alarm) => alarm.AlarmName === 'latam-message-gc-missed');
    // 25 hours of the longest day, 15 minutes flexible, an hour for late starts, 2 of the run: 28.25, and one more.
    assert.equal(missed?.EvaluationPeriods, 30);
    assert.equal(missed?.DatapointsToAlarm, undefined);
    assert.equal(missed?.TreatMissingData, 'breaching');
    assert.equal(missed?.ComparisonOperator, 'LessThanThreshold');
    assert.equal(missed?.Threshold, 1);
    assert.deepEqual(missed?.WarmUpConfiguration, {
      WarmUpPeriodDurationInMinutes: 30 * 60,
      OnlyStartEvaluatingAfterWarmUpPeriodEnds: true,
    });
    assert.deepEqual(
      missed?.Metrics.map(({ Expression, MetricStat }: Record<string, unknown>) => Expression ?? MetricStat),
      [
        'FILL(successes, 0) + FILL(partials, 0) + FILL(failures, 0)',
        ...['RunsSucceeded', 'RunsPartial', 'RunsFailed'].map((MetricName) => ({
          Metric: {
            Namespace: 'Upkeep',
            MetricName,
            Dimensions: [
              { Name: 'deployment', Value: 'latam' },
              { Name: 'job', Value: 'message-gc' },
            ],
          },
          Period: 3600,
          Stat: 'Sum',
        })),
      ],
    );
    assert.match(
      missed?.AlarmDescription,
      /^No run of message-gc for latam has done or told anything for 30 hours; it is due daily at 02:30 America\/Sao_Paulo: perhaps/,
    );
  });
});
