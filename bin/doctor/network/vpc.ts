import type { RouteTable, SecurityGroup, Subnet, VpcEndpoint } from '@aws-sdk/client-ec2';
import type { ExaminedDeployment } from '../examined-deployment.ts';

/** What is in a VPC, as far as one may see it. Before a deploy also what that is to make. */
export interface Vpc {
  id: string;
  subnets: ReadonlyMap<string, Subnet>;
  groups: ReadonlyMap<string, SecurityGroup>;
  routeTables: readonly RouteTable[];
  endpoints: readonly VpcEndpoint[];
}

/** The IAM actions of all that stands here. */
export const LOOK_AT_VPC = [
  'ec2:DescribeRouteTables',
  'ec2:DescribeSecurityGroups',
  'ec2:DescribeSubnets',
  'ec2:DescribeVpcEndpoints',
];

/** The subnets of these ids that there are. */
export function subnetsNamed(deployment: ExaminedDeployment, ids: readonly string[]): Promise<Subnet[]> {
  return deployment.once(`subnets ${ids.join(' ')}`, async () => {
    // It is the largest client of all, and few commands need it.
    const { paginateDescribeSubnets } = await import('@aws-sdk/client-ec2');
    const client = await deployment.clients.ec2();
    const found: Subnet[] = [];
    // Not by SubnetIds: of one that is not there EC2 then tells of none.
    const Filters = [{ Name: 'subnet-id', Values: [...ids] }];
    for await (const { Subnets: page = [] } of paginateDescribeSubnets({ client }, { Filters }))
      found.push(...page);
    return found;
  });
}

/** A VPC with what is in it. */
export function vpcNamed(deployment: ExaminedDeployment, id: string): Promise<Vpc> {
  return deployment.once(`vpc ${id}`, async () => {
    const {
      paginateDescribeRouteTables,
      paginateDescribeSecurityGroups,
      paginateDescribeSubnets,
      paginateDescribeVpcEndpoints,
    } = await import('@aws-sdk/client-ec2');
    const client = await deployment.clients.ec2();
    const inVpc = { Filters: [{ Name: 'vpc-id', Values: [id] }] };
    const subnets: Subnet[] = [];
    for await (const page of paginateDescribeSubnets({ client }, inVpc))
      subnets.push(...(page.Subnets ?? []));
    const groups: SecurityGroup[] = [];
    for await (const page of paginateDescribeSecurityGroups({ client }, inVpc))
      groups.push(...(page.SecurityGroups ?? []));
    const routeTables: RouteTable[] = [];
    for await (const page of paginateDescribeRouteTables({ client }, inVpc))
      routeTables.push(...(page.RouteTables ?? []));
    const endpoints: VpcEndpoint[] = [];
    for await (const page of paginateDescribeVpcEndpoints({ client }, inVpc))
      endpoints.push(...(page.VpcEndpoints ?? []));
    return {
      id,
      subnets: new Map(subnets.map((subnet) => [subnet.SubnetId ?? '', subnet])),
      groups: new Map(
        [...groups, ...(deployment.synthesized?.groupsIn(id) ?? [])].map((group) => [
          group.GroupId ?? '',
          group,
        ]),
      ),
      routeTables,
      // Those that are to be made take the services' names over, whatever was there.
      endpoints: [...(deployment.synthesized?.endpointsIn(id) ?? []), ...endpoints],
    };
  });
}
