import { Duration, type Stack } from 'aws-cdk-lib';
import { SecurityGroup, Subnet, Vpc } from 'aws-cdk-lib/aws-ec2';
import { Key } from 'aws-cdk-lib/aws-kms';
import { type ISecret, Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { acceptFinding } from '../accept-finding.ts';
import type { CallbackRelayProps } from '../callback-relay.ts';
import type { ContainerReach } from '../containers-job.ts';
import type { RotatedCopy } from '../credential-rotation/credential-copies.ts';
import type { FunctionNetwork } from '../function-network.ts';
import type { EndpointService } from '../interface-endpoints.ts';
import type { Weekday } from '../local-time.ts';
import type { DailySchedule, WeeklySchedule } from '../start-run.ts';
import type { ClientDatabases } from './client-databases.ts';
import type { Deployment } from './configuration/checks.ts';
import { ENDPOINT_SERVICES } from './endpoint-services.ts';
import type { GcProps } from './gc-job.ts';

/** The databases whose sizes can be read, those with a user for it. */
export function clientDatabases(databases: Deployment['databases'] = []): ClientDatabases[] {
  return databases.flatMap(({ prefix, name, user, mediaDatabases, idleTimeoutSeconds, ...server }) => {
    if (!user) return [];
    const { engine, host, port, certificateAuthority } = server;
    return [
      {
        prefix,
        name,
        database: { engine, host, port, certificateAuthority },
        secretArn: user.secretArn,
        ...(user.encryptionKeyArn && { secretKeyArn: user.encryptionKeyArn }),
        ...(mediaDatabases && { mediaDatabases }),
        ...(idleTimeoutSeconds && { idleTimeout: Duration.seconds(idleTimeoutSeconds) }),
      },
    ];
  });
}

/** The services of the client itself, as another job knows them. */
export function clientServices({ logCleanup, credentialRotation }: Deployment['jobs']) {
  if (logCleanup) {
    const { clusterName, roles } = logCleanup;
    return { clusterName, names: Object.values(roles).flatMap((role) => role?.services ?? []) };
  }
  if (!credentialRotation) return undefined;
  const { clusterName, services } = credentialRotation;
  const { webapp = [], master = [], coreapp = [] } = services;
  return { clusterName, names: [...webapp, ...master, ...coreapp] };
}

/** Whether Parameter Store has a copy of the password. */
function keepsParameter({
  metaTemplate,
  copies,
}: NonNullable<Deployment['jobs']['credentialRotation']>): boolean {
  return metaTemplate !== undefined || copies.parameters.length > 0;
}

/** What a deployment's functions call of AWS from inside the VPC. */
export function endpointServices(
  { jobs, upgradeCheck, callbacks }: Deployment,
  { tellsRows, hasMediaVolume }: { tellsRows: boolean; hasMediaVolume: boolean },
): EndpointService[] {
  const { messageGc, mediaGc, databaseSize, credentialRotation, applicationSettings } = jobs;
  const used: [unknown, keyof typeof ENDPOINT_SERVICES][] = [
    [messageGc, tellsRows ? 'message-gc with databases' : 'message-gc'],
    [messageGc?.watchWindow, 'message-gc with watchWindow'],
    [mediaGc, 'media-gc'],
    [databaseSize, 'database-size'],
    [databaseSize && hasMediaVolume, 'database-size with mediaVolume'],
    [
      credentialRotation,
      credentialRotation && keepsParameter(credentialRotation)
        ? 'credential-rotation with a parameter'
        : 'credential-rotation',
    ],
    [applicationSettings, 'application-settings'],
    [upgradeCheck, 'upgrade-check'],
    [callbacks.relay?.inVpc, 'callback-relay'],
  ];
  return used.flatMap(([isUsed, by]) => (isUsed ? ENDPOINT_SERVICES[by] : []));
}

/**
 * How WebApp is reached, and the key of its user's secret.
 * @param user @default the API user
 */
export function webAppProps(
  { webApp, certificateAuthority }: Deployment,
  user: Deployment['webApp']['apiUser'] = webApp.apiUser,
): Pick<GcProps, 'webApp' | 'webAppSecretKeyArn'> {
  return {
    webApp: {
      url: webApp.url.replace(/\/$/, ''),
      certificateAuthority,
      secretArn: user.secretArn,
      ...(webApp.serverName && { serverName: webApp.serverName }),
    },
    ...(user.encryptionKeyArn && { webAppSecretKeyArn: user.encryptionKeyArn }),
  };
}

export function relayProps(
  settings: NonNullable<Deployment['callbacks']['relay']>,
  { name, relayCertificateAuthority }: Deployment,
): Omit<CallbackRelayProps, 'bus' | 'topic'> {
  const { webhookUrl, secretPathHashes, webhookTimeoutSeconds, maximumConcurrency } = settings;
  return {
    deployment: name,
    webhookUrl,
    secretPathHashes,
    webhookTimeout: Duration.seconds(webhookTimeoutSeconds),
    ...(relayCertificateAuthority && { certificateAuthority: relayCertificateAuthority }),
    ...(maximumConcurrency && { maximumConcurrency }),
  };
}

export function dailySchedule({
  at,
  flexibleMinutes,
}: {
  at: string;
  flexibleMinutes: number;
}): DailySchedule {
  return { at, flexibleWindow: Duration.minutes(flexibleMinutes) };
}

/** On one day of the week, or on each. */
export function weeklySchedule({
  weekday,
  ...daily
}: {
  at: string;
  flexibleMinutes: number;
  weekday: Weekday | 'daily';
}): DailySchedule | WeeklySchedule {
  return { ...dailySchedule(daily), ...(weekday !== 'daily' && { weekday }) };
}

/** How log clean-up comes into the containers. */
export function containerReach({
  runCommand,
  sessionEncryptionKeyArn,
}: NonNullable<Deployment['jobs']['logCleanup']>): ContainerReach {
  if (runCommand)
    return { by: 'run-command', instanceTag: { key: runCommand.tagKey, value: runCommand.tagValue } };
  return {
    by: 'ecs-exec',
    ...(sessionEncryptionKeyArn && { encryptionKeyArn: sessionEncryptionKeyArn }),
  };
}

/** The network of the functions, named and not looked up. */
export function networkOf(stack: Stack, { network }: Deployment): Required<FunctionNetwork> {
  const { vpcId, subnets, securityGroupIds } = network;
  return {
    vpc: Vpc.fromVpcAttributes(stack, 'Vpc', {
      vpcId,
      availabilityZones: subnets.map(({ availabilityZone }) => availabilityZone),
    }),
    subnets: subnets.map(({ id, availabilityZone }) => {
      const subnet = Subnet.fromSubnetAttributes(stack, id, { subnetId: id, availabilityZone });
      acceptFinding(subnet, {
        id: 'Annotation::@aws-cdk/aws-ec2:noSubnetRouteTableId',
        reason: 'Nothing here needs the route table.',
      });
      return subnet;
    }),
    securityGroups: securityGroupIds.map((id) =>
      SecurityGroup.fromSecurityGroupId(stack, id, id, { mutable: false }),
    ),
  };
}

/** A secret that is named, with its key if it has one of its own. */
export function secretOf(
  stack: Stack,
  id: string,
  { secretArn, encryptionKeyArn }: { secretArn: string; encryptionKeyArn?: string | undefined },
): ISecret {
  return Secret.fromSecretAttributes(stack, `CredentialRotation-${id}`, {
    secretCompleteArn: secretArn,
    ...(encryptionKeyArn && {
      encryptionKey: Key.fromKeyArn(stack, `CredentialRotation-${id}Key`, encryptionKeyArn),
    }),
  });
}

/** Where copies of the password are kept. */
export function credentialCopies(
  copies: NonNullable<Deployment['jobs']['credentialRotation']>['copies'],
): RotatedCopy[] {
  return [
    ...copies.parameters.map(({ name, encryptionKeyArn, template, encoding }) => ({
      kind: 'parameter' as const,
      name,
      ...(encryptionKeyArn && { keyId: encryptionKeyArn, keyArn: encryptionKeyArn }),
      ...(template && { template }),
      ...(encoding && { encoding }),
    })),
    ...copies.secrets.map(({ secretArn, key, encryptionKeyArn, template, encoding }) => ({
      kind: 'secret' as const,
      secretArn,
      key,
      ...(encryptionKeyArn && { keyArn: encryptionKeyArn }),
      ...(template && { template }),
      ...(encoding && { encoding }),
    })),
  ];
}
