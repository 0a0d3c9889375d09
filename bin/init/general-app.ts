import type { ContainerDefinition } from '@aws-sdk/client-ecs';
import type { DatabaseServer } from './databases.ts';
import type { FoundNetwork } from './networks.ts';
import { literal } from './render.ts';
import { planRuns } from './schedules.ts';
import type { ListedSecret } from './secrets.ts';
import type { FoundService } from './services.ts';

/** What a service of the application has for a job. */
export interface Worked {
  of: FoundService;
  container: ContainerDefinition;
}

/** A credential that containers take from a secret, and the server that it is for. */
export interface Rotation {
  secret: ListedSecret;
  server: DatabaseServer;
  services: { name: string; clusterName: string }[];
  network: FoundNetwork;
}

/** What the app is for. */
export interface GeneralApp {
  account: string;
  region: string;
  name: string;
  timeZone: string;
  window: { from: string; to: string };
  emails: string[];
  topicArn: string | undefined;
  cluster: string;
  worked: Worked[];
  command: string;
  rotation: Rotation | undefined;
}

/**
 * The source of a CDK app.
 * @param library from where the constructs are imported
 */
export function generalApp(library: string, app: GeneralApp): string {
  const { account, region, name, timeZone, window, emails, cluster, worked, command, rotation } = app;
  const runs = planRuns(window, timeZone);
  const roles: Record<string, { services: string[]; container: string }> = {};
  for (const { of, container } of worked) {
    const role = roleName(container.name ?? '');
    const known = roles[role] ?? { services: [], container: container.name ?? '' };
    known.services.push(of.name);
    roles[role] = known;
  }
  const upkeep = {
    deployment: name,
    timeZone,
    window,
    ...(emails.length > 0 && { emails }),
  };
  const words = /[|&;<>$`*?"'\\(){}]/.test(command) ? { script: command } : command.split(/\s+/);
  const value = (of: unknown, indent = '') => literal(of, indent);
  const rotationImports = rotation
    ? `import { SecurityGroup, Subnet, Vpc } from 'aws-cdk-lib/aws-ec2';
${rotation.secret.encryptionKeyArn === undefined ? '' : "import { Key } from 'aws-cdk-lib/aws-kms';\n"}import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
`
    : '';
  const topicImport = app.topicArn === undefined ? '' : `import { Topic } from 'aws-cdk-lib/aws-sns';\n`;
  return `import { App, Duration, Stack } from 'aws-cdk-lib';
${rotationImports}${topicImport}import { ContainerCommandJob, ${rotation ? 'CredentialRotation, ' : ''}Upkeep } from '${library}';

const app = new App();
const stack = new Stack(app, '${name}-upkeep', { env: ${value({ account, region })} });

// What all jobs share: the window in which they may work, and who is told of alarms.
const upkeep = new Upkeep(stack, 'Upkeep', ${
    app.topicArn === undefined
      ? value(upkeep)
      : `{
  ...${value(upkeep, '  ')},
  topic: Topic.fromTopicArn(stack, 'Topic', ${value(app.topicArn)}),
}`
  });

// A command each night in the containers of these services, with the exit status of each.
new ContainerCommandJob(stack, 'NightlyCommand', {
  upkeep,
  job: 'nightly-command',
  cluster: ${value(cluster)},
  roles: ${value(roles, '  ')},
  command: ${value(words, '  ')},
  timeout: Duration.minutes(20),
  schedule: { at: ${value(runs.logCleanup.schedule.at)}, flexibleWindow: Duration.minutes(${runs.logCleanup.schedule.flexibleMinutes}) },
});
${rotation ? rotationOf(rotation, runs.credentialRotation, value) : ''}`;
}

function rotationOf(
  { secret, server, services, network }: Rotation,
  { schedule, timeLimitMinutes }: ReturnType<typeof planRuns>['credentialRotation'],
  value: (of: unknown, indent?: string) => string,
): string {
  const { engine, host, port } = server;
  const zones = network.subnets.map(({ availabilityZone }) => availabilityZone);
  return `
// The database password, rotated and carried to the last container: see docs/credential-rotation.md for what the database needs.
const vpc = Vpc.fromVpcAttributes(stack, 'Vpc', ${value({ vpcId: network.vpcId, availabilityZones: zones })});
new CredentialRotation(stack, 'DatabasePassword', {
  upkeep,
  secret: ${
    secret.encryptionKeyArn === undefined
      ? `Secret.fromSecretCompleteArn(stack, 'Secret', ${value(secret.arn)})`
      : `Secret.fromSecretAttributes(stack, 'Secret', {
    secretCompleteArn: ${value(secret.arn)},
    encryptionKey: Key.fromKeyArn(stack, 'SecretKey', ${value(secret.encryptionKeyArn)}),
  })`
  },
  database: ${value({ engine, host, port, certificateAuthority: 'rds' }, '  ')},
  strategy: { kind: 'dual-password' },
  // Who is missed the least goes first: a roll stops at one that does not come up.
  services: ${value(services, '  ')},
  network: {
    vpc,
    subnets: ${value(network.subnets, '    ')}.map(({ id, availabilityZone }) =>
      Subnet.fromSubnetAttributes(stack, id, { subnetId: id, availabilityZone }),
    ),
    securityGroups: ${value(network.securityGroupIds, '    ')}.map((id) => SecurityGroup.fromSecurityGroupId(stack, id, id)),
  },
  schedule: { at: ${value(schedule.at)}, flexibleWindow: Duration.minutes(${schedule.flexibleMinutes}) },
  timeLimit: Duration.minutes(${timeLimitMinutes}),
});
`;
}

/** Lower case, digits, hyphens. */
export function roleName(container: string): string {
  const name = container
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .replace(/^[^a-z]+|-+$/g, '');
  return name === '' ? 'app' : name.slice(0, 20);
}
