import { CfnOutput, RemovalPolicy, type Stack, type StackProps } from 'aws-cdk-lib';
import { SecurityGroup, Subnet, Vpc } from 'aws-cdk-lib/aws-ec2';
import { Key } from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';
import { acceptFinding } from '../accept-finding.ts';
import { type LifecycleDays, MediaVolume, type MediaVolumeProps } from '../media-volume/media-volume.ts';
import type { MediaVolumeBase } from '../media-volume/media-volume-base.ts';
import type { Deployment } from './configuration/checks.ts';
import { LastingIdsStack } from './lasting-ids-stack.ts';

/** The network of a volume's tasks, named and not looked up. */
export interface MediaVolumeNetwork {
  /** The VPC's ID, `vpc-…`. */
  readonly vpcId: string;
  /** Where the tasks run: one subnet in each availability zone. */
  readonly subnets: readonly { readonly id: string; readonly availabilityZone: string }[];
  /** The security groups of the tasks or hosts that mount the volume. */
  readonly clientSecurityGroupIds: readonly string[];
}

/** What a `MediaVolumeStack` is made of. */
export interface MediaVolumeStackProps
  extends StackProps,
    Omit<MediaVolumeProps, 'vpc' | 'subnets' | 'clients' | 'encryptionKey'> {
  /** Where the volume can be mounted. */
  readonly network: MediaVolumeNetwork;
  /** `aws`: the account's key for EFS. `customer-managed`: a key of the stack, kept with the volume. @default aws */
  readonly encryption?: 'aws' | 'customer-managed';
}

/**
 * The media of one deployment, in a stack of its own that holds nothing else: it cannot be deleted before its termination
 * protection is taken off, and what it holds outlives it.
 */
export class MediaVolumeStack extends LastingIdsStack {
  /** The stack of the volume that a checked configuration wants created, if it does. */
  static ofDeployment(scope: Construct, id: string, deployment: Deployment): MediaVolumeStack | undefined {
    const { name, account, region, network, encryption, mediaVolume } = deployment;
    if (!mediaVolume?.create) return undefined;
    const { create, directory, owner } = mediaVolume;
    return new MediaVolumeStack(scope, id, {
      env: { account, region },
      deployment: name,
      network: {
        vpcId: network.vpcId,
        subnets: create.subnets ?? network.subnets,
        clientSecurityGroupIds: create.clientSecurityGroupIds,
      },
      encryption: create.encryption ?? encryption,
      roleArns: create.roleArns,
      access: { directory, ...(owner && { owner }) },
      throughput: create.throughput,
      infrequentAccessAfter: orNever(create.infrequentAccessAfterDays),
      archiveAfter: orNever(create.archiveAfterDays),
      automaticBackups: create.automaticBackups,
      ...(create.replicationRegion && { replication: { region: create.replicationRegion } }),
    });
  }

  /** The volume of the stack. */
  readonly volume: MediaVolume;

  constructor(scope: Construct, id: string, props: MediaVolumeStackProps) {
    const { network, encryption = 'aws', ...volume } = props;
    super(scope, id, {
      description: `Media volume of the WhatsApp Business API client ${volume.deployment}`,
      terminationProtection: true,
      ...stackProps(props),
    });
    this.volume = new MediaVolume(this, 'MediaVolume', {
      ...volume,
      vpc: Vpc.fromVpcAttributes(this, 'Vpc', {
        vpcId: network.vpcId,
        availabilityZones: network.subnets.map(({ availabilityZone }) => availabilityZone),
      }),
      subnets: network.subnets.map(({ id: subnetId, availabilityZone }) => {
        const subnet = Subnet.fromSubnetAttributes(this, subnetId, { subnetId, availabilityZone });
        acceptFinding(subnet, {
          id: 'Annotation::@aws-cdk/aws-ec2:noSubnetRouteTableId',
          reason: 'Nothing here needs the route table.',
        });
        return subnet;
      }),
      clients: network.clientSecurityGroupIds.map((securityGroupId) =>
        SecurityGroup.fromSecurityGroupId(this, securityGroupId, securityGroupId, { mutable: false }),
      ),
      ...(encryption === 'customer-managed' && {
        encryptionKey: new Key(this, 'Key', {
          description: `Media volume of ${volume.deployment}`,
          enableKeyRotation: true,
          removalPolicy: RemovalPolicy.RETAIN,
        }),
      }),
    });
    printLines(this, this.volume);
  }
}

/** Outputs with what a task definition, a role and a host need to mount a volume. */
export function printLines(stack: Stack, volume: MediaVolumeBase): void {
  const { volume: entry, mountPoint, rolePolicy, fstab } = volume.lines();
  const outputs: Record<string, [value: string, description: string]> = {
    FileSystemId: [volume.fileSystem.fileSystemId, 'The EFS file system that holds the media'],
    AccessPointId: [volume.accessPoint.accessPointId, 'The access point to mount it by'],
    TaskDefinitionVolume: [entry, 'To add to "volumes" of the task definitions of WebApp and CoreApp'],
    ContainerMountPoint: [mountPoint, 'To add to "mountPoints" of the containers of WebApp and CoreApp'],
    TaskRolePolicy: [rolePolicy, 'The policy that each task role or instance role needs to mount it'],
    FstabLine: [
      fstab,
      'For /etc/fstab of a host with amazon-efs-utils, where containers get a folder of the host',
    ],
  };
  for (const [name, [value, description]] of Object.entries(outputs))
    new CfnOutput(stack, `MediaVolume${name}`, { value, description });
}

function orNever(days: 0 | LifecycleDays): LifecycleDays | 'never' {
  return days === 0 ? 'never' : days;
}

/** Those of the CDK among the properties. */
function stackProps({ env, tags, stackName, description, terminationProtection }: StackProps): StackProps {
  return {
    ...(env && { env }),
    ...(tags && { tags }),
    ...(stackName !== undefined && { stackName }),
    ...(description !== undefined && { description }),
    ...(terminationProtection !== undefined && { terminationProtection }),
  };
}
