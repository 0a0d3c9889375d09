import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DescribeNetworkInterfacesCommand,
  DescribeRouteTablesCommand,
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
  DescribeVpcAttributeCommand,
  DescribeVpcEndpointsCommand,
  DescribeVpcsCommand,
  EC2Client,
} from '@aws-sdk/client-ec2';
import {
  InterfaceVpcEndpoint,
  InterfaceVpcEndpointAwsService,
  Port,
  SecurityGroup,
  Subnet,
  Vpc,
} from 'aws-cdk-lib/aws-ec2';
import { ACCOUNT, deploy, REGION } from '../deploy.ts';

const PLACE = { account: ACCOUNT, region: REGION };
const VPC = 'vpc-0123456789abcdef0';
const CLIENTS = 'sg-0123456789abcdef0';

test('describes a network that is there, and what the templates put into it, as filters ask; and refuses as EC2 does', () =>
  deploy(
    (stack) => {
      const vpc = Vpc.fromVpcAttributes(stack, 'Vpc', { vpcId: VPC, availabilityZones: [`${REGION}a`] });
      const group = new SecurityGroup(stack, 'Endpoints', { vpc, allowAllOutbound: false });
      group.addIngressRule(SecurityGroup.fromSecurityGroupId(stack, 'Clients', CLIENTS), Port.tcp(443));
      new InterfaceVpcEndpoint(stack, 'Sqs', {
        vpc,
        service: InterfaceVpcEndpointAwsService.SQS,
        subnets: {
          subnets: [
            Subnet.fromSubnetAttributes(stack, 'Subnet', {
              subnetId: 'subnet-a',
              availabilityZone: `${REGION}a`,
            }),
          ],
        },
        securityGroups: [group],
        open: false,
      });
    },
    async ({ aws, client }) => {
      const network = aws.ec2.networks.in(PLACE);
      network.vpcs.set(VPC, { VpcId: VPC, CidrBlock: '10.0.0.0/16' });
      for (const zone of ['a', 'b'])
        network.subnets.set(`subnet-${zone}`, {
          SubnetId: `subnet-${zone}`,
          VpcId: VPC,
          AvailabilityZone: `${REGION}${zone}`,
        });
      network.routeTables.set('rtb-0', {
        RouteTableId: 'rtb-0',
        VpcId: VPC,
        Associations: [{ Main: true, RouteTableId: 'rtb-0' }],
        Routes: [{ DestinationCidrBlock: '10.0.0.0/16', GatewayId: 'local', State: 'active' }],
      });
      network.networkInterfaces.set('eni-0', {
        NetworkInterfaceId: 'eni-0',
        PrivateIpAddress: '10.0.0.7',
        Groups: [{ GroupId: CLIENTS }],
        VpcId: VPC,
      });
      const ec2 = new EC2Client(client());
      const ofVpc = { Filters: [{ Name: 'vpc-id', Values: [VPC, 'vpc-other'] }] };
      assert.deepEqual((await ec2.send(new DescribeVpcsCommand(ofVpc))).Vpcs, [
        { VpcId: VPC, CidrBlock: '10.0.0.0/16' },
      ]);
      const { Subnets: subnets = [], NextToken } = await ec2.send(
        new DescribeSubnetsCommand({ ...ofVpc, MaxResults: 1 }),
      );
      const { Subnets: more = [] } = await ec2.send(new DescribeSubnetsCommand({ ...ofVpc, NextToken }));
      assert.deepEqual(
        [...subnets, ...more].map(({ SubnetId }) => SubnetId),
        ['subnet-a', 'subnet-b'],
      );
      const { Subnets: named = [] } = await ec2.send(new DescribeSubnetsCommand({ SubnetIds: ['subnet-b'] }));
      assert.equal(named[0]?.AvailabilityZone, `${REGION}b`);
      const { RouteTables: tables = [] } = await ec2.send(
        new DescribeRouteTablesCommand({ Filters: [{ Name: 'association.main', Values: ['true'] }] }),
      );
      assert.equal(tables[0]?.Routes?.[0]?.GatewayId, 'local');
      const { VpcEndpoints: endpoints = [] } = await ec2.send(new DescribeVpcEndpointsCommand(ofVpc));
      assert.deepEqual(
        endpoints.map(({ ServiceName, PrivateDnsEnabled }) => [ServiceName, PrivateDnsEnabled]),
        [[`com.amazonaws.${REGION}.sqs`, true]],
      );
      const { SecurityGroups: groups = [] } = await ec2.send(
        new DescribeSecurityGroupsCommand({ GroupIds: [endpoints[0]?.Groups?.[0]?.GroupId ?? ''] }),
      );
      const [{ FromPort, UserIdGroupPairs: pairs = [] } = {}] = groups[0]?.IpPermissions ?? [];
      assert.deepEqual([FromPort, pairs[0]?.GroupId], [443, CLIENTS]);
      const { NetworkInterfaces: interfaces = [] } = await ec2.send(
        new DescribeNetworkInterfacesCommand({
          Filters: [{ Name: 'addresses.private-ip-address', Values: ['10.0.0.7'] }],
        }),
      );
      assert.equal(interfaces[0]?.NetworkInterfaceId, 'eni-0');
      const dns = () =>
        ec2.send(new DescribeVpcAttributeCommand({ VpcId: VPC, Attribute: 'enableDnsSupport' }));
      assert.equal((await dns()).EnableDnsSupport?.Value, true);
      aws.ec2.withoutDns.add(VPC);
      assert.equal((await dns()).EnableDnsSupport?.Value, false);
      await assert.rejects(ec2.send(new DescribeSubnetsCommand({ SubnetIds: ['subnet-x'] })), {
        name: 'InvalidSubnetID.NotFound',
        message: "The Subnet ID 'subnet-x' does not exist",
      });
      await assert.rejects(
        new EC2Client(client({ Effect: 'Allow', Action: 'ec2:DescribeVpcs', Resource: '*' })).send(
          new DescribeSubnetsCommand({}),
        ),
        { name: 'UnauthorizedOperation', message: /not authorized to perform: ec2:DescribeSubnets/ },
      );
    },
  ));
