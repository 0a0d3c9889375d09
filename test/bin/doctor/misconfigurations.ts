// In one file though long: a table of misconfigurations, each of a few lines.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DockerHost } from '../../../rehearsal/aws/containers/docker-host.ts';
import type { Definition } from '../../../rehearsal/aws/ecs/task.ts';
import type { PolicyDocument } from '../../../rehearsal/aws/policy/document.ts';
import type { World } from '../../../rehearsal/world.ts';
import {
  configureLogCleanup,
  coreApps,
  coreAppTask,
  type Misconfiguration,
  set,
} from './misconfiguration.ts';

const define = (definition: Definition) => (world: World) =>
  set(coreApps(world).options, { definition: { ...coreApps(world).options.definition, ...definition } });

const inContainer = (container: Definition['container']) => (world: World) =>
  define({ container: { ...coreApps(world).options.definition?.container, ...container } })(world);

const CORE_APPS_ROLE = 'arn:aws:iam::222222222222:role/whatsapp-emea-coreapp';
const CLUSTER = 'arn:aws:ecs:eu-central-1:222222222222:cluster/whatsapp-emea';

const FOR_CHANNELS: PolicyDocument = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: 'ssmmessages:*', Resource: '*' }],
};

/** Gives the CoreApps' role other statements than those that ECS Exec needs. */
const allow =
  (...Statement: object[]) =>
  ({ aws }: World) => {
    aws.iam.putRole({
      arn: CORE_APPS_ROLE,
      policies: [{ Version: '2012-10-17', Statement: Statement as never }],
    });
    return () => aws.iam.putRole({ arn: CORE_APPS_ROLE, policies: [FOR_CHANNELS] });
  };

const sessions = (configuration: object) => (world: World) => {
  world.aws.ecs.execConfigurations[CLUSTER] = configuration;
  return () => {
    delete world.aws.ecs.execConfigurations[CLUSTER];
  };
};

/** Has the CoreApps' containers cleaned in a task on an instance, whose task definition names no role. */
const onInstance = (change: (host: DockerHost) => void) => (world: World) => {
  const { tasks } = world.aws.ecs;
  const { account, region, cluster } = coreApps(world).options;
  const folder = mkdtempSync(join(tmpdir(), 'doctor-'));
  const host = new DockerHost({ instanceId: 'i-0123456789abcdef0', folder });
  change(host);
  const { containers } = coreAppTask(world);
  const task = world.aws.ecs.addTask({ account, region, cluster, service: 'on-ec2', containers, host });
  const back = configureLogCleanup(({ roles }) => {
    for (const role of roles) if (role.container === 'wa-coreapp') role.services = ['on-ec2'];
  })(world);
  return () => {
    back();
    tasks.splice(tasks.indexOf(task), 1);
    rmSync(folder, { recursive: true });
  };
};

/** Has them cleaned by Run Command there, and only them. */
export const reachedByRunCommand = (agent: 'unknown' | 'silent' | 'heard of') => (world: World) => {
  const { account, region } = coreApps(world).options;
  const back = onInstance((host) => {
    if (agent === 'unknown') return;
    const instance = world.aws.ssm.manage(host, { account, region });
    if (agent === 'silent') instance.fault = 'unreachable';
  })(world);
  const settings = configureLogCleanup((each) => {
    each.reach = 'run-command';
    each.roles = each.roles.filter(({ container }) => container === 'wa-coreapp');
  })(world);
  return () => {
    settings();
    back();
    world.aws.ssm.instances.delete('i-0123456789abcdef0');
  };
};

export const MISCONFIGURATIONS: Misconfiguration[] = [
  {
    what: 'an addressee who never confirmed',
    spoil: ({ aws }) => {
      aws.sns.unconfirmed.add('whatsapp-oncall@example.com');
      return () => aws.sns.unconfirmed.clear();
    },
    check: 'addressees of alarms',
    status: 'failed',
    saw: /^whatsapp-oncall@example\.com has not confirmed .* nor does anybody else/,
    mend: /^aws sns subscribe --topic-arn arn:aws:sns:\S+ --protocol email --notification-endpoint whatsapp-oncall@example\.com /,
  },
  {
    what: 'a cluster of another name',
    spoil: configureLogCleanup((settings) => {
      settings.clusterArn = `${CLUSTER}-old`;
    }),
    check: 'clusters',
    status: 'failed',
    saw: /^There is no active cluster \S+whatsapp-emea-old\.$/,
    mend: /^aws ecs list-clusters /,
  },
  {
    what: 'sessions that are to be logged, and no place for it',
    spoil: sessions({ logging: 'OVERRIDE' }),
    check: 'clusters',
    status: 'warning',
    saw: /neither a log group nor a bucket/,
    mend: /^aws ecs update-cluster --cluster \S+ --configuration 'executeCommandConfiguration=\{logging=DEFAULT\}'$/,
  },
  {
    what: 'a service of another name',
    spoil: configureLogCleanup(({ roles }) => {
      for (const role of roles) if (role.container === 'wa-coreapp') role.services = ['coreapps'];
    }),
    check: 'services',
    status: 'failed',
    saw: /^The cluster has no service of this name, and log-cleanup is configured with it\.$/,
    mend: /^aws ecs list-services --cluster \S+whatsapp-emea /,
  },
  {
    what: 'a service without ECS Exec',
    spoil: (world) => set(coreApps(world).options, { enableExecuteCommand: false }),
    check: 'services',
    status: 'failed',
    saw: /^ECS Exec is not enabled/,
    mend: /^aws ecs update-service --cluster \S+ --service coreapp --enable-execute-command --force-new-deployment /,
  },
  {
    what: 'a service of which no task is wanted',
    spoil: (world) => set(coreApps(world).options, { desiredCount: 0 }),
    check: 'services',
    status: 'warning',
    saw: /^No task of it is wanted\.$/,
    mend: /--service coreapp --desired-count 1 /,
  },
  {
    what: 'a service of which no task runs',
    spoil: (world) => {
      const tasks = world.aws.ecs.tasksOf(coreApps(world).options);
      const back = tasks.map((task) => set(task, { lastStatus: 'PENDING' }));
      return () => back.forEach((each) => void each());
    },
    check: 'services',
    status: 'failed',
    saw: /^None of its 2 tasks runs: /,
    mend: /^aws ecs describe-services --cluster \S+ --services coreapp --query /,
  },
  {
    what: 'a task that began before ECS Exec was enabled',
    spoil: (world) => {
      const back = [
        set(coreApps(world).options, { enableExecuteCommand: true }),
        set(coreAppTask(world), { enableExecuteCommand: false }),
      ];
      return () => back.forEach((each) => void each());
    },
    check: 'ECS Exec agents',
    status: 'failed',
    saw: /^The task \w+ began before ECS Exec was enabled, and takes no command\.$/,
    mend: /--service coreapp --force-new-deployment /,
  },
  {
    what: 'an agent that has stopped',
    spoil: (world) => {
      const back = coreAppTask(world).containers.map((each) => set(each, { agentRunning: false }));
      return () => back.forEach((each) => void each());
    },
    check: 'ECS Exec agents',
    status: 'failed',
    saw: /^The agent of the container wa-coreapp of the task \w+ is STOPPED\.$/,
    mend: /^aws ecs stop-task --cluster \S+ --task \w+ /,
  },
  {
    what: 'an old platform of Fargate',
    spoil: (world) => set(coreAppTask(world), { platformVersion: '1.3.0' }),
    check: 'ECS Exec agents',
    status: 'failed',
    saw: /is on Fargate 1\.3\.0, and ECS Exec needs 1\.4\.0\.$/,
    mend: /--service coreapp --platform-version LATEST --force-new-deployment$/,
  },
  {
    what: 'a container of another name',
    spoil: configureLogCleanup(({ roles }) => {
      for (const role of roles) if (role.container === 'wa-coreapp') role.container = 'coreapp';
    }),
    check: 'ECS Exec agents',
    status: 'failed',
    saw: /^The task \w+ has no container coreapp, but wa-coreapp\.$/,
    mend: /^container: .* npx cdk deploy --all$/,
  },
  {
    what: 'a container of another name, in the task definition',
    spoil: configureLogCleanup(({ roles }) => {
      for (const role of roles) if (role.container === 'wa-coreapp') role.container = 'coreapp';
    }),
    check: 'task definitions for ECS Exec',
    status: 'failed',
    saw: /^The task definition has no container coreapp, but wa-coreapp\.$/,
    mend: /^container: .* npx cdk deploy --all$/,
  },
  {
    what: 'a namespace of processes for the whole task',
    spoil: define({ pidMode: 'task', others: [{ name: 'log-router' }] }),
    check: 'task definitions for ECS Exec',
    status: 'warning',
    saw: /^pidMode is "task"/,
    mend: /: leave out "pidMode"$/,
  },
  {
    what: 'a read-only root file system',
    spoil: inContainer({ readonlyRootFilesystem: true }),
    check: 'task definitions for ECS Exec',
    status: 'failed',
    saw: /^The root file system of the container wa-coreapp is read-only/,
    mend: /"readonlyRootFilesystem": false for wa-coreapp$/,
  },
  {
    what: "AWS's keys in the environment",
    spoil: inContainer({
      environment: [{ name: 'AWS_ACCESS_KEY_ID', value: 'AKIAIOSFODNN7EXAMPLE' }],
    }),
    check: 'task definitions for ECS Exec',
    status: 'warning',
    saw: /^The container wa-coreapp has AWS_ACCESS_KEY_ID in its environment/,
    mend: /no AWS_ACCESS_KEY_ID in "environment" of wa-coreapp/,
  },
  {
    what: 'no init process',
    spoil: inContainer({ linuxParameters: { initProcessEnabled: false } }),
    check: 'task definitions for ECS Exec',
    status: 'warning',
    saw: /^The container wa-coreapp has no init process/,
    mend: /"linuxParameters": \{ "initProcessEnabled": true \} for wa-coreapp$/,
  },
  {
    what: 'a task role without a right',
    spoil: allow({
      Effect: 'Allow',
      Action: ['ssmmessages:Create*', 'ssmmessages:OpenDataChannel'],
      Resource: '*',
    }),
    check: 'task roles',
    status: 'failed',
    saw: /^arn:aws:iam::222222222222:role\/whatsapp-emea-coreapp does not allow ssmmessages:OpenControlChannel\.$/,
    mend: /^aws iam put-role-policy --role-name whatsapp-emea-coreapp --policy-name ecs-exec --policy-document '\{"Version":"2012-10-17","Statement":\[\{"Effect":"Allow","Action":\["ssmmessages:OpenControlChannel"\],"Resource":"\*"\}\]\}'$/,
  },
  {
    what: 'a task role with a denial',
    spoil: allow(
      { Effect: 'Allow', Action: '*', Resource: '*' },
      { Effect: 'Deny', Action: 'ssmmessages:OpenDataChannel', Resource: '*' },
    ),
    check: 'task roles',
    status: 'failed',
    saw: /of these a policy denies ssmmessages:OpenDataChannel\.$/,
    mend: /^Take the denial out of the policies of whatsapp-emea-coreapp/,
  },
  {
    what: 'a permissions boundary of a task role that leaves too little',
    spoil: ({ aws }) => {
      const role = { arn: CORE_APPS_ROLE, policies: [FOR_CHANNELS] };
      const Statement = { Effect: 'Allow', Action: ['logs:*', 'ssmmessages:Create*'], Resource: '*' };
      aws.iam.putRole({ ...role, boundary: { Version: '2012-10-17', Statement: [Statement] } as never });
      return () => aws.iam.putRole(role);
    },
    check: 'task roles',
    status: 'failed',
    saw: /does not allow ssmmessages:OpenControlChannel, ssmmessages:OpenDataChannel; the permissions boundary of whatsapp-emea-coreapp leaves it nothing of ssmmessages:OpenControlChannel, ssmmessages:OpenDataChannel\.$/,
    mend: /^In the permissions boundary of whatsapp-emea-coreapp: \{ "Effect": "Allow", "Action": \["ssmmessages:OpenControlChannel","ssmmessages:OpenDataChannel"\], "Resource": "\*" \}/,
  },
  {
    what: 'a task that was begun with another role',
    spoil: (world) => {
      const arn = `${CORE_APPS_ROLE}-by-hand`;
      world.aws.iam.putRole({ arn, policies: [] });
      const back = set(coreAppTask(world), { taskRoleArn: arn });
      return () => {
        back();
        world.aws.iam.deleteRole(arn);
      };
    },
    check: 'task roles',
    status: 'failed',
    saw: /^arn:aws:iam::222222222222:role\/whatsapp-emea-coreapp-by-hand does not allow ssmmessages:CreateControlChannel, /,
    mend: /^aws iam put-role-policy --role-name whatsapp-emea-coreapp-by-hand /,
  },
  {
    what: 'no task role',
    spoil: (world) => set(coreApps(world).options, { definition: {} }),
    check: 'task roles',
    status: 'failed',
    saw: /^There is no task role, so ECS Exec's agent may do nothing\.$/,
    mend: /"taskRoleArn": "ARN of a role that allows ssmmessages:CreateControlChannel, /,
  },
  {
    what: 'sessions with a key that the task role may not use',
    spoil: sessions({ kmsKeyId: 'arn:aws:kms:eu-central-1:222222222222:key/0a1b2c3d', logging: 'NONE' }),
    check: 'task roles',
    status: 'failed',
    saw: /does not allow kms:Decrypt\.$/,
    mend: /"Action":\["kms:Decrypt"\],"Resource":"arn:aws:kms:eu-central-1:222222222222:key\/0a1b2c3d"/,
  },
  {
    what: 'sessions with a log group that the task role may not write to',
    spoil: sessions({ logging: 'OVERRIDE', logConfiguration: { cloudWatchLogGroupName: '/ecs/exec' } }),
    check: 'task roles',
    status: 'failed',
    saw: /does not allow logs:DescribeLogGroups, logs:CreateLogStream, /,
    mend: /"Resource":"arn:aws:logs:eu-central-1:222222222222:log-group:\/ecs\/exec:\*"/,
  },
  {
    what: 'a container without a shell, with all else in order',
    spoil: (world) => {
      const containers = coreAppTask(world).containers;
      for (const { lacks } of containers) lacks.add('sh');
      return () => containers.forEach(({ lacks }) => void lacks.delete('sh'));
    },
    check: 'a command in a container',
    status: 'failed',
    saw: /^The task \w+ took no command: /,
    mend: /^npx wa-upkeep exec whatsapp-emea coreapp --container wa-coreapp -- date$/,
  },
  {
    what: 'a script that the container has not',
    spoil: configureLogCleanup(({ roles }) => {
      for (const role of roles) if (role.container === 'wa-coreapp') role.script = '/opt/cleanup.sh';
    }),
    check: 'a command in a container',
    status: 'failed',
    saw: /^The container wa-coreapp of the task \w+ has no \/opt\/cleanup\.sh\.$/,
    mend: /^Does the image have it elsewhere, .* npx cdk deploy --all$/,
  },
  {
    what: 'a clock that is wrong',
    spoil: () => {
      const { now } = Date;
      Date.now = () => now() + 120_000;
      return () => {
        Date.now = now;
      };
    },
    check: 'a command in a container',
    status: 'warning',
    saw: /^The clock of the task \w+ is 1(19|20|21) seconds behind this machine's\.$/,
    mend: /^chronyc tracking /,
  },
  {
    what: 'an old agent of ECS on an instance',
    spoil: onInstance((host) => {
      host.ecsAgentVersion = '1.49.0';
    }),
    check: 'ECS Exec agents',
    status: 'failed',
    saw: /^The ECS agent of the instance i-0123456789abcdef0 is 1\.49\.0, and ECS Exec needs 1\.50\.2\.$/,
    mend: /^aws ecs update-container-agent --cluster \S+ --container-instance \w+$/,
  },
  {
    what: 'a task on an instance without a role of its own',
    spoil: onInstance(() => {}),
    check: 'task roles',
    status: 'warning',
    saw: /^There is no task role, so ECS Exec's agent has the rights of the instance's profile/,
    mend: /"taskRoleArn": /,
  },
  {
    what: 'an instance that Systems Manager does not know',
    spoil: reachedByRunCommand('unknown'),
    check: 'instances for Run Command',
    status: 'failed',
    saw: /^Systems Manager does not know the instance i-0123456789abcdef0\.$/,
    mend: /--instance-ids i-0123456789abcdef0 .* AmazonSSMManagedInstanceCore/,
  },
  {
    what: 'an instance whose agent is silent',
    spoil: reachedByRunCommand('silent'),
    check: 'instances for Run Command',
    status: 'failed',
    saw: /^Systems Manager does not hear of the instance i-0123456789abcdef0: ConnectionLost\.$/,
    mend: /^sudo systemctl restart amazon-ssm-agent /,
  },
  {
    what: 'tasks of Fargate that are to be reached by Run Command',
    spoil: configureLogCleanup((settings) => {
      settings.reach = 'run-command';
    }),
    check: 'instances for Run Command',
    status: 'failed',
    saw: /^Its tasks are on no instance/,
    mend: /^No runCommand in the configuration/,
  },
  {
    what: 'an account of few invocations',
    spoil: ({ aws }) => set(aws.lambda, { concurrency: 5 }),
    check: "Lambda's concurrency",
    status: 'warning',
    saw: /may have 5 invocations at once .* this deployment alone has \d+\.$/,
    mend: /^aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384 /,
  },
  {
    what: 'a password in clear',
    spoil: inContainer({ environment: [{ name: 'WA_DB_PASSWORD', value: 'hunter2' }] }),
    check: 'passwords in task definitions',
    status: 'warning',
    saw: /^The environment variable WA_DB_PASSWORD of the container wa-coreapp seems to hold a password in clear\.$/,
    mend: /"secrets": \[\{ "name": "WA_DB_PASSWORD", "valueFrom": "ARN of a secret" \}\] for wa-coreapp/,
  },
  {
    what: 'a password in a URL',
    spoil: inContainer({ environment: [{ name: 'DATA_SOURCE', value: 'postgres://wa:hunter2@db/waweb' }] }),
    check: 'passwords in task definitions',
    status: 'warning',
    saw: /^The environment variable DATA_SOURCE /,
    mend: /"name": "DATA_SOURCE"/,
  },
];
