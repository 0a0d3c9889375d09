// In one file though long: all that a command in containers may do by its place, and each mistake, on the same stacks.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { Lazy, Stack, Validations } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { Vpc } from 'aws-cdk-lib/aws-ec2';
import {
  Cluster,
  ContainerImage,
  FargateService,
  FargateTaskDefinition,
  type ICluster,
  LogDrivers,
  NetworkMode,
  TaskDefinition,
} from 'aws-cdk-lib/aws-ecs';
import { Key } from 'aws-cdk-lib/aws-kms';
import { type ISecret, Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { AwsSolutionsChecks } from 'cdk-nag';
import { ContainerCommandJob, type ContainerCommandJobProps, Upkeep } from '../../lib/index.ts';
import { brokenLinks } from './links.ts';
import { appWithoutBundles, ofType, resourcesOf, settingsOf, textOf } from './template.ts';

const ENV = { account: '111111111111', region: 'eu-west-1' };
const CLUSTER = 'arn:aws:ecs:eu-west-1:111111111111:cluster/shop';
const TASKS = 'arn:aws:ecs:eu-west-1:111111111111:task/shop/*';
const runCommand = { by: 'run-command', instanceTag: { key: 'cluster', value: 'shop' } } as const;

function stackWith(define: (stack: Stack, upkeep: Upkeep) => void, app = appWithoutBundles()): Stack {
  const stack = new Stack(app, 'Shop', { env: ENV });
  const upkeep = new Upkeep(stack, 'Upkeep', {
    deployment: 'shop',
    timeZone: 'Europe/Paris',
    window: { from: '01:00', to: '05:00' },
  });
  define(stack, upkeep);
  return stack;
}

const SECRET = 'arn:aws:secretsmanager:eu-west-1:111111111111:secret:shop/own';

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

/** A command in a new task of a definition that is made beside it. */
function ownDefinitionStack(props: Partial<ContainerCommandJobProps>): Stack {
  return stackWith((stack, upkeep) => {
    const definition = new FargateTaskDefinition(stack, 'Definition', { family: 'orders' });
    definition.addContainer('app', { image: ContainerImage.fromRegistry('orders') });
    new ContainerCommandJob(stack, 'Migrate', {
      upkeep,
      job: 'migrate',
      in: 'new-task',
      cluster: 'shop',
      roles: { orders: { services: ['orders'], container: 'app' } },
      taskDefinition: definition,
      command: ['migrate'],
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

  it('takes secrets themselves, also of another stack, and may read each, with its key, once', () => {
    const app = appWithoutBundles();
    const own = new Stack(app, 'Own', { env: ENV });
    const generated = new Secret(own, 'Generated', { encryptionKey: new Key(own, 'Key') });
    const stack = stackWith((stack, upkeep) => {
      const secretCompleteArn = 'arn:aws:secretsmanager:eu-west-1:111111111111:secret:api-a1B2c3';
      const api = Secret.fromSecretAttributes(stack, 'Api', { secretCompleteArn });
      new ContainerCommandJob(stack, 'Prune', {
        upkeep,
        job: 'prune',
        cluster: 'shop',
        roles: { web: { services: ['storefront'], container: 'app' } },
        command: ['prune'],
        secrets: {
          TOKEN: { secret: api as ISecret, key: 'token' },
          USER_NAME: { secret: generated as ISecret, key: 'user' },
        },
        stdin: { secret: generated as ISecret },
      });
    }, app);
    const { ReadSecret0, ReadSecret1, ReadSecret2, DecryptSecret0, DecryptSecret1 } = statements(stack);
    assert.match(String(ReadSecret0?.Resource), /:secret:api-a1B2c3$/);
    assert.match(String(ReadSecret1?.Resource), /ImportValue.*Generated/);
    assert.match(String(DecryptSecret1?.Resource), /ImportValue.*Key/);
    assert.deepEqual([ReadSecret2, DecryptSecret0], [undefined, undefined]);
    assert.deepEqual(own.dependencies, []);
  });

  it('knows by itself the key of the sessions of a cluster that is given itself', () => {
    const stack = stackWith((stack, upkeep) => {
      const vpc = Vpc.fromVpcAttributes(stack, 'Vpc', { vpcId: 'vpc-1', availabilityZones: ['eu-west-1a'] });
      const kmsKey = new Key(stack, 'Sessions');
      const cluster: ICluster = new Cluster(stack, 'Cluster', {
        vpc,
        executeCommandConfiguration: { kmsKey },
      }) as ICluster;
      new ContainerCommandJob(stack, 'Prune', {
        upkeep,
        job: 'prune',
        cluster,
        roles: { web: { services: ['storefront'], container: 'app' } },
        command: ['prune'],
      });
    });
    assert.match(String(statements(stack).EncryptSessions?.Resource), /Sessions/);
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
      'two roles, where the command runs in one place',
      {
        in: 'one-container',
        roles: { a: { services: ['a'], container: 'a' }, b: { services: ['b'], container: 'b' } },
      },
      /roles are a, b; with in: "one-container" the command runs in one place/,
    ],
    [
      'a new task of a service of which only the name is known',
      { in: 'new-task' },
      /taskDefinition is missing/,
    ],
    [
      'a new task of two services',
      { in: 'new-task', roles: { web: { services: ['a', 'b'], container: 'a' } } },
      /roles\.web\.services/,
    ],
    [
      'a way into a new task',
      { in: 'new-task', reach: runCommand },
      /reach is of containers that run already/,
    ],
    [
      'a way into a new task, and how many at once, each by its name',
      { in: 'new-task', reach: runCommand, concurrency: 5 },
      /reach is of containers that run already.*concurrency is of containers/s,
    ],
    [
      'a role of another form',
      { in: 'new-task', taskDefinition: { family: 'web', roleArns: ['task-role'] } },
      /taskDefinition\.roleArns\[0\].*the ARN of a role/,
    ],
    [
      'a task definition, where no task is started',
      { taskDefinition: { family: 'web', roleArns: [] } },
      /taskDefinition is for in: "new-task"/,
    ],
    [
      'a new task whose command ECS would not take',
      {
        in: 'new-task',
        taskDefinition: { family: 'web', roleArns: [] },
        command: ['echo', 'x'.repeat(4_000)],
      },
      /characters; \d+ fit into/,
    ],
    [
      'secrets of a new task that has no role to fetch them by',
      {
        in: 'new-task',
        taskDefinition: { family: 'web', roleArns: [] },
        stdin: { secret: Secret.fromSecretCompleteArn(new Stack(), 'Own', `${SECRET}-a1B2c3`) },
      },
      /taskDefinition\.roleArns is empty, while the command gets secrets; it must have the execution role/,
    ],
    [
      'secrets of a new task in a family that is the service’s own',
      {
        in: 'new-task',
        taskDefinition: { family: 'shop-prune', roleArns: ['arn:aws:iam::111111111111:role/execution'] },
        secrets: { TOKEN: { secret: Secret.fromSecretCompleteArn(new Stack(), 'Own', `${SECRET}-a1B2c3`) } },
      },
      /job is "prune", so that the task definitions with its secrets would be revisions of shop-prune/,
    ],
    [
      'a field of a secret by which ECS would name a label',
      {
        in: 'new-task',
        taskDefinition: { family: 'web', roleArns: ['arn:aws:iam::111111111111:role/execution'] },
        secrets: {
          TOKEN: {
            secret: Secret.fromSecretCompleteArn(new Stack(), 'Own', `${SECRET}-a1B2c3`),
            key: 'db:password',
          },
        },
      },
      /secrets\.TOKEN\.key has a colon/,
    ],
    [
      'a variable in which the input comes',
      {
        secrets: {
          UPKEEP_STDIN: { secret: Secret.fromSecretCompleteArn(new Stack(), 'Own', `${SECRET}-a1B2c3`) },
        },
      },
      /secrets have the name "UPKEEP_STDIN"; .* neither UPKEEP_MARKER nor UPKEEP_STDIN/,
    ],
    [
      'a secret in the place of its name, without repeating it',
      // biome-ignore lint/suspicious/noExplicitAny: what is mistaken has no type.
      { secrets: { TOKEN: 'hunter2' as any } },
      /^(?![\s\S]*hunter2)[\s\S]*secrets\.TOKEN is not what it must be: an object with "secret"/,
    ],
    [
      'a variable that has two values',
      {
        environment: { TOKEN: 'none' },
        secrets: { TOKEN: { secret: Secret.fromSecretCompleteArn(new Stack(), 'Own', `${SECRET}-a1B2c3`) } },
      },
      /secrets\.TOKEN is a name of environment as well/,
    ],
    [
      'a token in what a document must hold',
      { reach: runCommand, command: ['prune', Lazy.string({ produce: () => 'all' })] },
      /^PropsError: Shop\/Prune: command holds a token of the CDK; with reach: "run-command"/,
    ],
    [
      'a secret that is told by its ARN',
      // biome-ignore lint/suspicious/noExplicitAny: what is mistaken has no type.
      { secrets: { TOKEN: { secretArn: 'arn:aws:secretsmanager:eu-west-1:1:secret:a-a1B2c3' } as any } },
      /secrets\.TOKEN\.secretArn is not a known field.*Allowed here: secret, key.*secrets\.TOKEN\.secret is missing/s,
    ],
    [
      'a key of sessions that is none',
      { reach: { by: 'ecs-exec', encryptionKeyArn: 'alias/sessions' } },
      /reach\.encryptionKeyArn is "alias\/sessions"; it must be the ARN of a KMS key/,
    ],
    [
      'a tag without a value',
      // biome-ignore lint/suspicious/noExplicitAny: what is mistaken has no type.
      { reach: { by: 'run-command', instanceTag: { key: 'cluster' } as any } },
      /reach\.instanceTag\.value is missing/,
    ],
    [
      'a variable that ECS sets',
      { environment: { AWS_REGION: 'eu-west-1' } },
      /environment have the name "AWS_REGION"; .* not begin with AWS_/,
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

  describe('in a new task', () => {
    const taskDefinition = {
      family: 'storefront',
      roleArns: ['arn:aws:iam::111111111111:role/task', 'arn:aws:iam::111111111111:role/execution'],
      logGroup: '/ecs/storefront',
    };
    const inCluster = { 'ecs:cluster': CLUSTER };
    const ofNewTask = (stack: Stack) => {
      const resources = resourcesOf(stack);
      const [, policy] = ofType(resources, 'AWS::IAM::Policy').find(([id]) => /NewTask/.test(id)) ?? [];
      return Object.fromEntries(
        policy?.Properties.PolicyDocument.Statement.map((statement: Record<string, unknown>) => [
          statement.Sid,
          { ...plain(statement), Resource: textOf(statement.Resource, resources) },
        ]),
      );
    };

    it('may start tasks of the one family, hand on exactly its roles, and stop what it started', () => {
      const { RunTask, HandRolesOn, StopOwnTasks, TagTasks, ReadOutput } = ofNewTask(
        commandStack({ in: 'new-task', taskDefinition }),
      );
      assert.equal(RunTask.Resource, 'arn:aws:ecs:eu-west-1:111111111111:task-definition/storefront:*');
      assert.deepEqual(RunTask.Condition, { ArnEquals: inCluster });
      assert.equal(HandRolesOn.Resource, taskDefinition.roleArns.join(', '));
      assert.deepEqual(HandRolesOn.Condition, {
        StringEquals: { 'iam:PassedToService': 'ecs-tasks.amazonaws.com' },
      });
      assert.deepEqual(StopOwnTasks.Condition, {
        ArnEquals: inCluster,
        StringEquals: { 'aws:ResourceTag/upkeep:job': 'shop/prune' },
      });
      assert.equal(TagTasks.Condition.StringEquals['ecs:CreateAction'], 'RunTask');
      assert.equal(
        ReadOutput.Resource,
        'arn:aws:logs:eu-west-1:111111111111:log-group:/ecs/storefront:log-stream:*',
      );
    });

    it('may make task definitions of its own family where its command gets secrets, start these alone, and read no secret', () => {
      const stack = commandStack({
        in: 'new-task',
        taskDefinition,
        secrets: {
          TOKEN: {
            secret: Secret.fromSecretCompleteArn(new Stack(), 'Own', `${SECRET}-a1B2c3`),
            key: 'token',
          },
        },
      });
      const { RunTask, AddSecrets, ...others } = ofNewTask(stack);
      const own = 'arn:aws:ecs:eu-west-1:111111111111:task-definition/shop-prune:*';
      assert.deepEqual([RunTask.Resource, AddSecrets.Resource], [own, own]);
      assert.doesNotMatch(JSON.stringify(others), /secretsmanager/);
      assert.deepEqual(settingsOf(resourcesOf(stack), 'shop-prune').secrets, {
        TOKEN: `${SECRET}-a1B2c3:token::`,
      });
      assert.equal(ofNewTask(commandStack({ in: 'new-task', taskDefinition })).AddSecrets, undefined);
    });

    it("has the execution role of a task definition of this app fetch the command's secrets", () => {
      const secret = Secret.fromSecretCompleteArn(new Stack(), 'Own', `${SECRET}-a1B2c3`);
      const stack = ownDefinitionStack({ stdin: { secret } });
      const [, policy] =
        ofType(resourcesOf(stack), 'AWS::IAM::Policy').find(([id]) => /ExecutionRole/.test(id)) ?? [];
      assert.match(JSON.stringify(policy), /secretsmanager:GetSecretValue.*-a1B2c3/);
    });

    it('gives the command its input, from a text or a secret, and is the command then, in whatever sh the image has', () => {
      const secret = Secret.fromSecretCompleteArn(new Stack(), 'Own', `${SECRET}-a1B2c3`);
      const text = 'it\'s "a" $HOME `b`\n\\c\n';
      const command = ['sh', '-c', 'cat; echo "$# $1 $UPKEEP_STDIN"; exit 7', 'sh', 'an argument'];
      for (const [stdin, env] of [
        [text, {}],
        [{ secret }, { UPKEEP_STDIN: text.replace(/\n$/, '') }],
        [{ secret }, { UPKEEP_STDIN: text }],
      ] as const) {
        const stack = commandStack({ in: 'new-task', taskDefinition, command, stdin });
        const settings = settingsOf(resourcesOf(stack), 'shop-prune');
        for (const shell of ['sh', 'bash']) {
          const { stdout, status } = spawnSync(shell, settings.command.slice(1), {
            encoding: 'utf8',
            env: { PATH: process.env.PATH, ...env },
          });
          assert.deepEqual([stdout, status], [`${text}1 an argument \n`, 7]);
        }
      }
    });

    it('learns from a task definition itself what it may do, and which containers it has', () => {
      const of = (container: string) =>
        ownDefinitionStack({ roles: { orders: { services: ['orders'], container } } });
      assert.match(String(ofNewTask(of('app')).RunTask.Resource), /:task-definition\/orders:\*$/);
      assert.throws(
        () => of('web'),
        /Shop\/Migrate: roles\.orders\.container is "web", which the task definition Shop\/Definition has not; it must be "app"\./,
      );
    });

    it('learns from a service that is made in the app what it may do', () => {
      const stack = stackWith((stack, upkeep) => {
        const vpc = Vpc.fromVpcAttributes(stack, 'Vpc', {
          vpcId: 'vpc-1',
          availabilityZones: ['eu-west-1a'],
          privateSubnetIds: ['subnet-1'],
        });
        const cluster = new Cluster(stack, 'Cluster', { vpc, clusterName: 'shop' });
        const definition = new FargateTaskDefinition(stack, 'Definition', { family: 'orders' });
        definition.addContainer('app', {
          image: ContainerImage.fromRegistry('orders'),
          logging: LogDrivers.awsLogs({ streamPrefix: 'orders' }),
        });
        const service = new FargateService(stack, 'Service', {
          // Only under exactOptionalPropertyTypes are the CDK's own types at odds here.
          cluster: cluster as ICluster,
          taskDefinition: definition,
        });
        new ContainerCommandJob(stack, 'Migrate', {
          upkeep,
          job: 'migrate',
          in: 'new-task',
          roles: { orders: { services: [service], container: 'app' } },
          command: ['migrate'],
        });
      });
      const [, policy] =
        ofType(resourcesOf(stack), 'AWS::IAM::Policy').find(([id]) => /NewTask/.test(id)) ?? [];
      const of = (sid: string) =>
        JSON.stringify(
          policy?.Properties.PolicyDocument.Statement.find(({ Sid }: { Sid: string }) => Sid === sid),
        );
      assert.match(of('RunTask'), /:task-definition\/orders:\*"/);
      assert.match(of('HandRolesOn'), /DefinitionTaskRole.*DefinitionExecutionRole/);
      assert.match(of('ReadOutput'), /DefinitionappLogGroup/);
    });

    it('refuses an imported task definition by a sentence that names the field', () => {
      const arn = 'arn:aws:ecs:eu-west-1:111111111111:task-definition/orders:3';
      for (const imported of [
        TaskDefinition.fromTaskDefinitionArn(new Stack(), 'Arn', arn),
        TaskDefinition.fromTaskDefinitionAttributes(new Stack(), 'Attributes', {
          taskDefinitionArn: arn,
          networkMode: NetworkMode.AWS_VPC,
        }),
        FargateTaskDefinition.fromFargateTaskDefinitionArn(new Stack(), 'Fargate', arn),
      ])
        assert.throws(
          // Only JavaScript lets one be given: its type is not that of a task definition.
          () => ownDefinitionStack({ taskDefinition: imported as TaskDefinition }),
          /Shop\/Migrate: taskDefinition is an imported task definition, of which only the ARN is known; it must be /,
        );
    });

    it('has all its links, and passes cdk-nag', () => {
      const stack = commandStack({ in: 'new-task', taskDefinition });
      assert.deepEqual(brokenLinks(resourcesOf(stack)), []);
      const app = stack.node.root;
      Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
      (app as ReturnType<typeof appWithoutBundles>).synth();
    });
  });

  it('gives the command its environment, in whatever sh the container has, and changes no word of it', () => {
    const environment = Object.fromEntries(
      Array.from({ length: 12 }, (_, index) => [`NAME_${index}`, `it's "${index}" $HOME`]),
    );
    const stack = commandStack({
      in: 'one-container',
      environment,
      command: ['sh', '-c', 'printf "%s|" "$NAME_0" "$NAME_11" "$@"', 'sh', 'a b', "c'd"],
    });
    const { command, in: where, retryFailed } = settingsOf(resourcesOf(stack), 'shop-prune');
    assert.deepEqual([where, retryFailed], ['one-container', false]);
    for (const shell of ['sh', 'bash'])
      assert.equal(
        spawnSync(shell, command.slice(1), { encoding: 'utf8' }).stdout,
        `it's "0" $HOME|it's "11" $HOME|a b|c'd|`,
      );
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
