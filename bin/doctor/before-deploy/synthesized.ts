import type { SecurityGroup, VpcEndpoint } from '@aws-sdk/client-ec2';
import type { FunctionConfiguration } from '@aws-sdk/client-lambda';
import * as v from 'valibot';
import { type DeployedUpkeep, upkeepOf } from '../../deployments.ts';
import { readAssembly, type SynthesizedResource, type SynthesizedStack } from './assembly.ts';

/** A deployment that is only synthesized. */
export class SynthesizedDeployment {
  readonly upkeep: DeployedUpkeep;
  readonly stack: SynthesizedStack;
  /** Of its stack, and of those that this one needs. */
  readonly resources: readonly SynthesizedResource[];
  readonly stacks: readonly SynthesizedStack[];

  constructor(upkeep: DeployedUpkeep, stack: SynthesizedStack, all: readonly SynthesizedStack[]) {
    this.upkeep = upkeep;
    this.stack = stack;
    this.stacks = [stack, ...all.filter(({ id }) => stack.dependencies.includes(id))];
    this.resources = this.stacks.flatMap(({ resources }) => resources);
  }

  ofType(type: string): SynthesizedResource[] {
    return this.resources.filter((resource) => resource.type === type);
  }

  /** As Lambda will give it. Undefined, where there will be none of the name. */
  functionNamed(name: string): FunctionConfiguration | undefined {
    const found = this.ofType('AWS::Lambda::Function').find(
      ({ properties }) => properties.FunctionName === name,
    );
    if (found === undefined) return undefined;
    const { Environment, VpcConfig } = v.parse(functionProperties, found.properties);
    return {
      FunctionName: name,
      Environment: { Variables: variablesOf(Environment.Variables) },
      ...(VpcConfig && { VpcConfig }),
    };
  }

  /** The endpoints that it will make in a VPC, as if they were there. */
  endpointsIn(vpcId: string): VpcEndpoint[] {
    return this.ofType('AWS::EC2::VPCEndpoint').flatMap(({ logicalId, properties }) => {
      const parsed = v.parse(endpointProperties, properties);
      if (parsed.VpcId !== vpcId) return [];
      return [
        {
          VpcEndpointId: `${logicalId} of the stack`,
          VpcEndpointType: parsed.VpcEndpointType as VpcEndpoint['VpcEndpointType'],
          VpcId: vpcId,
          ServiceName: parsed.ServiceName,
          State: 'available' as VpcEndpoint['State'],
          PrivateDnsEnabled: parsed.PrivateDnsEnabled,
          SubnetIds: parsed.SubnetIds,
          Groups: parsed.SecurityGroupIds.map((GroupId) => ({ GroupId })),
        },
      ];
    });
  }

  /** The security groups that it will make in a VPC. */
  groupsIn(vpcId: string): SecurityGroup[] {
    const rules = this.ofType('AWS::EC2::SecurityGroupIngress').map(({ properties }) =>
      v.parse(ruleProperties, properties),
    );
    return this.ofType('AWS::EC2::SecurityGroup').flatMap(({ logicalId, properties }) => {
      const { VpcId, SecurityGroupIngress: own } = v.parse(groupProperties, properties);
      if (VpcId !== vpcId) return [];
      const GroupId = `\${${logicalId}}`;
      return [
        {
          GroupId,
          IpPermissions: [...own, ...rules.filter((rule) => rule.GroupId === GroupId)].map((rule) => ({
            IpProtocol: rule.IpProtocol,
            ...(rule.FromPort !== undefined && { FromPort: rule.FromPort }),
            ...(rule.ToPort !== undefined && { ToPort: rule.ToPort }),
            IpRanges: rule.CidrIp === undefined ? [] : [{ CidrIp: rule.CidrIp }],
            UserIdGroupPairs:
              rule.SourceSecurityGroupId === undefined ? [] : [{ GroupId: rule.SourceSecurityGroupId }],
          })),
        },
      ];
    });
  }
}

const texts = v.optional(v.array(v.string()), []);
const functionProperties = v.looseObject({
  Environment: v.optional(v.object({ Variables: v.optional(v.record(v.string(), v.unknown()), {}) }), {}),
  VpcConfig: v.optional(v.object({ SubnetIds: texts, SecurityGroupIds: texts })),
});
const endpointProperties = v.looseObject({
  VpcEndpointType: v.optional(v.string(), 'Gateway'),
  VpcId: v.string(),
  ServiceName: v.string(),
  PrivateDnsEnabled: v.optional(v.boolean(), false),
  SubnetIds: texts,
  SecurityGroupIds: texts,
});
const ruleProperties = v.looseObject({
  GroupId: v.optional(v.string()),
  IpProtocol: v.string(),
  FromPort: v.optional(v.number()),
  ToPort: v.optional(v.number()),
  CidrIp: v.optional(v.string()),
  SourceSecurityGroupId: v.optional(v.string()),
});
const groupProperties = v.looseObject({
  VpcId: v.optional(v.string()),
  SecurityGroupIngress: v.optional(v.array(ruleProperties), []),
});

/** The deployments of a cloud assembly, by name. */
export function synthesizedDeployments(folder: string): SynthesizedDeployment[] {
  const stacks = readAssembly(folder);
  const found = stacks.flatMap((stack) =>
    stack.resources.flatMap(({ type, properties }) => {
      if (type !== 'AWS::Lambda::Function' || !String(properties.FunctionName).endsWith('-start-run'))
        return [];
      const upkeep = upkeepOf(variablesOf(v.parse(functionProperties, properties).Environment.Variables));
      return upkeep ? [new SynthesizedDeployment(upkeep, stack, stacks)] : [];
    }),
  );
  return found.sort((a, b) => a.upkeep.deployment.localeCompare(b.upkeep.deployment));
}

function variablesOf(variables: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, String(value)]));
}
