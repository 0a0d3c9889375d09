/**
 * What a deploy of a new version meets: of each resource of the sample's stacks its name and its type, and of those with data what
 * CloudFormation replaces them for. Written at each release, so that the next version is held against it:
 *
 *     node test/lib/upgrades/released.ts
 */
import { writeFileSync } from 'node:fs';
import type { Stack } from 'aws-cdk-lib';
import { checkConfiguration, type Deployment } from '../../../lib/whatsapp/configuration/configuration.ts';
import { MediaVolumeStack } from '../../../lib/whatsapp/media-volume-stack.ts';
import { mediaStackName, stackName } from '../../../lib/whatsapp/stack-names.ts';
import { UpkeepStack } from '../../../lib/whatsapp/upkeep-stack.ts';
import sample from '../../../upkeep.config.ts';
import { appWithoutBundles, REPOSITORY, type Resource, resourcesOf } from '../template.ts';

export const RELEASED = 'test/lib/upgrades/released.json';

/** A resource, as far as an update of its stack is concerned. */
export interface Deployed {
  type: string;
  /** What AWS charges it by: an alarm's metrics, an endpoint's zones, the metrics that a dashboard shows. */
  units?: number;
  /** Its own name in the account, which no two can have. */
  name?: string;
  /** Of a resource with data: whether it outlives its stack. */
  isKept?: boolean;
  /** Of a resource with data: what CloudFormation makes another one for. */
  fixed?: Record<string, unknown>;
}

/** By stack, then by logical id. */
export type Release = Record<string, Record<string, Deployed>>;

/**
 * Resources that hold something, and the properties of which CloudFormation's template reference says "Update requires:
 * Replacement". A durable function holds the runs in flight and the history of the others; a topic, its confirmed subscriptions.
 * Of DurableConfig the reference of November 2026 as known here says nothing of changes; that it cannot be added to a function or
 * taken away is from Lambda's Developer Guide.
 */
const WITH_DATA: Record<string, readonly string[]> = {
  'AWS::EFS::FileSystem': ['AvailabilityZoneName', 'Encrypted', 'KmsKeyId', 'PerformanceMode'],
  'AWS::KMS::Key': ['KeySpec', 'KeyUsage', 'MultiRegion', 'Origin'],
  'AWS::Lambda::Function': ['FunctionName', 'PackageType'],
  'AWS::Logs::LogGroup': ['LogGroupName'],
  'AWS::SNS::Topic': ['TopicName', 'FifoTopic'],
  'AWS::SNS::Subscription': ['Endpoint', 'Protocol', 'TopicArn'],
  'AWS::SQS::Queue': ['QueueName', 'FifoQueue'],
};

/** The property that is a resource's name, where the stacks give it one. */
const NAMES: Record<string, string> = {
  'AWS::CloudWatch::Alarm': 'AlarmName',
  'AWS::CloudWatch::Dashboard': 'DashboardName',
  'AWS::Events::EventBus': 'Name',
  'AWS::Events::Rule': 'Name',
  'AWS::IAM::Role': 'RoleName',
  'AWS::Lambda::Function': 'FunctionName',
  'AWS::Logs::LogGroup': 'LogGroupName',
  'AWS::Logs::QueryDefinition': 'Name',
  'AWS::Scheduler::Schedule': 'Name',
  'AWS::Scheduler::ScheduleGroup': 'Name',
  'AWS::SNS::Topic': 'TopicName',
  'AWS::SQS::Queue': 'QueueName',
  'AWS::SSM::Document': 'Name',
};

const UNITS: Record<string, (properties: Resource['Properties']) => number> = {
  'AWS::CloudWatch::Alarm': ({ Metrics: metrics = [{ MetricStat: true }] }) =>
    metrics.filter(({ MetricStat: metric }: { MetricStat?: unknown }) => metric !== undefined).length,
  'AWS::CloudWatch::Dashboard': ({ DashboardBody: body }) =>
    JSON.stringify(body).match(/\[\\"(Upkeep|AWS\/\w+)\\"/g)?.length ?? 0,
  'AWS::EC2::VPCEndpoint': ({ SubnetIds: subnets = [] }) => subnets.length,
};

function deployedOf({ Type: type, Properties: properties = {}, DeletionPolicy }: Resource): Deployed {
  const fixed = WITH_DATA[type];
  const { [NAMES[type] ?? '']: name } = properties;
  const isDurable = properties.DurableConfig !== undefined;
  const hasData = fixed !== undefined && (type !== 'AWS::Lambda::Function' || isDurable);
  return {
    type,
    ...(UNITS[type] && { units: UNITS[type](properties) }),
    ...(typeof name === 'string' && { name }),
    ...(hasData && {
      isKept: DeletionPolicy === 'Retain',
      fixed: {
        ...Object.fromEntries(
          fixed.flatMap((key) => (properties[key] === undefined ? [] : [[key, properties[key]]])),
        ),
        ...(isDurable && { DurableConfig: isDurable }),
      },
    }),
  };
}

export function stackOf(stack: Stack): Record<string, Deployed> {
  return Object.fromEntries(
    Object.entries(resourcesOf(stack)).map(([id, resource]) => [id, deployedOf(resource)]),
  );
}

/** What the sample comes to, or one of its deployments after a change. */
export function release(
  name?: string,
  change: (deployment: Deployment) => Deployment = (same) => same,
): Release {
  const released: Release = {};
  for (const configured of checkConfiguration(sample, { file: 'upkeep.config.ts', folder: REPOSITORY })) {
    if (name !== undefined && configured.name !== name) continue;
    const deployment = change(configured);
    const app = appWithoutBundles();
    const media = MediaVolumeStack.ofDeployment(app, mediaStackName(deployment.name), deployment);
    const upkeep = new UpkeepStack(app, stackName(deployment.name), {
      deployment,
      mediaVolume: media?.volume,
    });
    for (const stack of [upkeep, ...(media ? [media] : [])]) released[stack.stackName] = stackOf(stack);
  }
  return released;
}

/** What an update loses: each resource with data that would be replaced or deleted, and how. */
export function lost(before: Release, after: Release): string[] {
  const losses: string[] = [];
  for (const [stack, resources] of Object.entries(before))
    for (const [id, { type, fixed }] of Object.entries(resources)) {
      if (fixed === undefined) continue;
      const now = after[stack]?.[id];
      const what = `${stack}/${id} (${type})`;
      if (now?.type !== type) losses.push(`${what} is deleted`);
      else
        for (const key of new Set([...Object.keys(fixed), ...Object.keys(now.fixed ?? {})]))
          if (JSON.stringify(fixed[key]) !== JSON.stringify(now.fixed?.[key]))
            losses.push(`${what} is replaced for its ${key}`);
    }
  return losses;
}

/** What stops an update: a name that another resource of the same stack, or another stack's, still has. */
export function taken(before: Release, after: Release): string[] {
  const owners = new Map<string, string>();
  for (const [stack, resources] of Object.entries(before))
    for (const [id, { type, name }] of Object.entries(resources))
      if (name !== undefined) owners.set(`${type} ${name}`, `${stack}/${id}`);
  return Object.entries(after).flatMap(([stack, resources]) =>
    Object.entries(resources).flatMap(([id, { type, name }]) => {
      const owner = owners.get(`${type} ${name}`);
      return owner === undefined || owner === `${stack}/${id}`
        ? []
        : [`${stack}/${id} is to have the name ${name}, which ${owner} has`];
    }),
  );
}

if (import.meta.main) writeFileSync(RELEASED, `${JSON.stringify(release(), null, 1)}\n`);
