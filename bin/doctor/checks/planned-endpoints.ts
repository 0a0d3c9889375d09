import { GetFunctionConfigurationCommand, ResourceNotFoundException } from '@aws-sdk/client-lambda';
import { type Check, type Finding, ofEach } from '../check.ts';
import type { ExaminedDeployment } from '../examined-deployment.ts';
import { LOOK_AT_VPC, vpcNamed } from '../network/vpc.ts';

/** Whether the interface endpoints that a stack is to make can be made. */
export const plannedEndpoints: Check = {
  name: 'endpoints to be made',
  when: 'before the deploy',
  actions: [...LOOK_AT_VPC, 'ec2:DescribeVpcAttribute', 'lambda:GetFunctionConfiguration'],
  async run(deployment) {
    const all = deployment.synthesized?.ofType('AWS::EC2::VPCEndpoint') ?? [];
    const vpcIds = all.flatMap(({ properties: { VpcId: id } }) => (typeof id === 'string' ? id : []));
    // Of a VPC that the app makes itself nothing is in the way.
    return ofEach(
      [...new Set(vpcIds)].filter((id) => id.startsWith('vpc-')),
      (id) => id,
      (id) => look(deployment, id),
    );
  },
};

async function look(deployment: ExaminedDeployment, vpcId: string): Promise<Finding[]> {
  const { endpoints } = await vpcNamed(deployment, vpcId);
  const planned = deployment.synthesized?.endpointsIn(vpcId) ?? [];
  // Once it is deployed those that are there are its own.
  const inTheWay = (await isDeployed(deployment))
    ? []
    : endpoints.filter(
        (each) =>
          each.PrivateDnsEnabled === true &&
          each.VpcEndpointId?.startsWith('vpce-') &&
          planned.some(({ ServiceName: name }) => name === each.ServiceName),
      );
  const { DescribeVpcAttributeCommand } = await import('@aws-sdk/client-ec2');
  const ec2 = await deployment.clients.ec2();
  const attributes = await Promise.all(
    (['enableDnsSupport', 'enableDnsHostnames'] as const).map(async (Attribute) => {
      const found = await ec2.send(new DescribeVpcAttributeCommand({ VpcId: vpcId, Attribute }));
      return { Attribute, isOn: (found.EnableDnsSupport ?? found.EnableDnsHostnames)?.Value };
    }),
  );
  const off = attributes.filter(({ isOn }) => isOn === false);
  const findings: Finding[] = [
    ...inTheWay.map(({ VpcEndpointId: id, ServiceName: name }) => ({
      status: 'failed' as const,
      saw: `The VPC has ${id} for ${name} already, with private DNS, and takes no second one.`,
      mend: "endpoints: 'existing'   # network of the configuration: the functions go by those that are there",
    })),
    ...off.map(({ Attribute }) => ({
      status: 'failed' as const,
      saw: `${Attribute} of the VPC is off: an endpoint cannot answer to the service's name.`,
      mend: `aws ec2 modify-vpc-attribute --vpc-id ${vpcId} --${Attribute === 'enableDnsSupport' ? 'enable-dns-support' : 'enable-dns-hostnames'} '{"Value":true}'`,
    })),
  ];
  return findings.length > 0
    ? findings
    : [{ status: 'ok', saw: `Nothing is in the way of ${planned.length} endpoints.` }];
}

async function isDeployed({ clients, name }: ExaminedDeployment): Promise<boolean> {
  try {
    await clients.lambda.send(new GetFunctionConfigurationCommand({ FunctionName: `${name}-start-run` }));
    return true;
  } catch (error) {
    if (!(error instanceof ResourceNotFoundException)) throw error;
    return false;
  }
}
