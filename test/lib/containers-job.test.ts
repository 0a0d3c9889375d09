import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { Duration, Stack, Validations } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { AwsSolutionsChecks } from 'cdk-nag';
import { ContainerCommandJob, type ContainerCommandJobProps, LogCleanup, Upkeep } from '../../lib/index.ts';
import { brokenLinks } from './links.ts';
import { appWithoutBundles, ofType, resourcesOf, settingsOf, textOf } from './template.ts';

const ENV = { account: '111111111111', region: 'eu-west-1' };
const CLUSTER = 'arn:aws:ecs:eu-west-1:111111111111:cluster/shop';
const TASKS = 'arn:aws:ecs:eu-west-1:111111111111:task/shop/*';
const runCommand = { by: 'run-command', instanceTag: { key: 'cluster', value: 'shop' } } as const;

function stackWith(define: (stack: Stack, upkeep: Upkeep) => void): Stack {
  const stack = new Stack(appWithoutBundles(), 'Shop', { env: ENV });
  const upkeep = new Upkeep(stack, 'Upkeep', {
    deployment: 'shop',
    timeZone: 'Europe/Paris',
    window: { from: '01:00', to: '05:00' },
  });
  define(stack, upkeep);
  return stack;
}

function commandStack(props: Partial<ContainerCommandJobProps> = {}): Stack {
  return stackWith((stack, upkeep) => {
    new ContainerCommandJob(stack, 'Prune', {
      upkeep,
      job: 'prune',
      cluster: 'shop',
      roles: { web: { services: ['storefront'], container: 'app' } },
      command: ['prune', '--all'],
      schedule: { at: '03:00' },
      ...props,
    });
  });
}

/** The statements of the job's own policy, by their Sid. */
function statements(stack: Stack): Record<string, Record<string, unknown>> {
  const resources = resourcesOf(stack);
  const [, policy] = ofType(resources, 'AWS::IAM::Policy').find(([id]) => /Containers/.test(id)) ?? [];
  assert.ok(policy);
  return Object.fromEntries(
    policy.Properties.PolicyDocument.Statement.map((statement: Record<string, unknown>) => [
      statement.Sid,
      { ...plain(statement), Resource: textOf(statement.Resource, resources) },
    ]),
  );
}

/** With each join as the text that it makes. */
function plain(value: unknown): Record<string, unknown> {
  return JSON.parse(JSON.stringify(value), (_, each) =>
    typeof each === 'object' && each !== null && 'Fn::Join' in each ? textOf(each, {}) : each,
  );
}

describe('a job in containers', () => {
  it('may run commands by ECS Exec in the named containers of its cluster only', () => {
    const found = statements(commandStack());
    assert.deepEqual(found.ExecuteInContainers, {
      Sid: 'ExecuteInContainers',
      Effect: 'Allow',
      Action: 'ecs:ExecuteCommand',
      Resource: `${CLUSTER}, ${TASKS}`,
      Condition: {
        ArnEquals: { 'ecs:cluster': CLUSTER },
        StringEquals: { 'ecs:container-name': ['app'] },
      },
    });
    assert.deepEqual(found.ListTasks?.Condition, { ArnEquals: { 'ecs:cluster': CLUSTER } });
    assert.equal(
      found.EndLostSessions?.Resource,
      'arn:aws:ssm:eu-west-1:111111111111:session/ecs-execute-command-*',
    );
    assert.deepEqual(found.EndLostSessions?.Condition, {
      StringLike: { 'ssm:resourceTag/aws:ssmmessages:target-id': 'ecs:shop_*' },
    });
    assert.ok(!('RunDocuments' in found));
    assert.ok(!('EncryptSessions' in found));
  });

  it('may use the key of encrypted sessions, where there is one', () => {
    const encryptionKeyArn = 'arn:aws:kms:eu-west-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab';
    const found = statements(commandStack({ reach: { by: 'ecs-exec', encryptionKeyArn } }));
    assert.deepEqual(found.EncryptSessions?.Action, 'kms:GenerateDataKey');
    assert.equal(found.EncryptSessions?.Resource, encryptionKeyArn);
  });

  it('may by Run Command run its own documents on the tagged instances, and no script of its making', () => {
    const stack = commandStack({ reach: runCommand });
    const found = statements(stack);
    assert.equal(
      found.RunDocuments?.Resource,
      'arn:aws:ssm:eu-west-1:111111111111:document/PruneContainersDocumentweb',
    );
    assert.deepEqual(found.OnTaggedHosts?.Condition, {
      StringEquals: { 'ssm:resourceTag/cluster': 'shop' },
    });
    assert.ok(!('ExecuteInContainers' in found));
    Template.fromStack(stack).hasResourceProperties('AWS::SSM::Document', {
      Name: 'shop-prune-web',
      Content: {
        parameters: { container: { type: 'String', allowedPattern: '^[0-9a-f]{64}$' } },
        mainSteps: [{ inputs: { timeoutSeconds: Match.stringLikeRegexp('^\\d+$') } }],
      },
    });
  });

  it('has nothing in a document that SSM could take for a parameter, other than its own', () => {
    const [, document] =
      ofType(
        resourcesOf(commandStack({ reach: runCommand, command: ['echo', '{{ secret }}'] })),
        'AWS::SSM::Document',
      )[0] ?? [];
    const script = textOf(document?.Properties.Content.mainSteps[0].inputs.runCommand, {});
    const names = [...script.matchAll(/\{\{\s*(\S+?)\s*\}\}/g)].map(([, name]) => name);
    assert.deepEqual(names, ['container', 'order', 'marker', 'seconds']);
  });

  for (const reach of [{ by: 'ecs-exec' }, runCommand] as const)
    it(`has all its links, and passes cdk-nag, by ${reach.by}`, () => {
      const stack = commandStack({ reach });
      assert.deepEqual(brokenLinks(resourcesOf(stack)), []);
      const app = stack.node.root;
      Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
      (app as ReturnType<typeof appWithoutBundles>).synth();
    });

  const mistakes: [string, Partial<ContainerCommandJobProps>, RegExp][] = [
    ['no role', { roles: {} }, /at least one role/],
    ['a role of another form', { roles: { 'Web App': { services: ['a'], container: 'a' } } }, /"Web App"/],
    [
      'fewer places than roles',
      {
        concurrency: 1,
        roles: { a: { services: ['a'], container: 'a' }, b: { services: ['b'], container: 'b' } },
      },
      /concurrency is 1/,
    ],
    [
      'two roles that make one figure',
      {
        roles: {
          'web-1': { services: ['a'], container: 'a' },
          'web-1-': { services: ['b'], container: 'b' },
        },
      },
      /"web-1" and "web-1-", which make one figure \(containersFailedWeb1\)/,
    ],
    [
      'a command that no environment holds',
      { command: ['echo', 'x'.repeat(5_000)] },
      /fit into a function's environment/,
    ],
    [
      'a command that no document holds',
      { reach: runCommand, command: { script: `: ${'x'.repeat(70_000)}` } },
      /65536 are allowed/,
    ],
  ];
  for (const [name, props, message] of mistakes)
    it(`refuses ${name}`, () => {
      assert.throws(() => commandStack(props), message);
    });

  it('ends a script at its first failure, in whatever sh the container has, unless it is told not to', () => {
    const script = 'false\necho went on';
    const statusOf = (props: Partial<ContainerCommandJobProps>) => {
      const settings = settingsOf(resourcesOf(commandStack({ command: { script }, ...props })), 'shop-prune');
      return ['sh', 'bash'].map((shell) => spawnSync(shell, ['-c', settings.command.script]).status);
    };
    assert.deepEqual(statusOf({}), [1, 1]);
    assert.deepEqual(statusOf({ stopAtFirstFailure: false }), [0, 0]);
    assert.deepEqual(statusOf({ command: { script: 'exit 3 | cat\n:' } })[1], 3);
    assert.deepEqual(statusOf({ command: { script: ': well' } }), [0, 0]);
  });

  it('rings when tasks were not ready on three nights on end, where it runs each night', () => {
    const names = (schedule: NonNullable<ContainerCommandJobProps['schedule']>) =>
      ofType(resourcesOf(commandStack({ schedule })), 'AWS::CloudWatch::Alarm').map(
        ([, { Properties: alarm }]) => alarm.AlarmName,
      );
    assert.ok(names({ at: '03:00' }).includes('shop-prune-not-ready'));
    assert.ok(!names({ at: '03:00', weekday: 'sunday' }).includes('shop-prune-not-ready'));
  });
});

describe('the log clean-up', () => {
  const stack = () =>
    stackWith((stack, upkeep) => {
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
    });

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
