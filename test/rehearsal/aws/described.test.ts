import assert from 'node:assert/strict';
import { it } from 'node:test';
import {
  CloudFormationClient,
  DescribeStackResourcesCommand,
  DescribeStacksCommand,
  paginateListStackResources,
} from '@aws-sdk/client-cloudformation';
import { DescribeServicesCommand, ECSClient, paginateListServices } from '@aws-sdk/client-ecs';
import {
  DescribeAccessPointsCommand,
  DescribeMountTargetSecurityGroupsCommand,
  EFSClient,
  paginateDescribeMountTargets,
} from '@aws-sdk/client-efs';
import {
  DescribeListenersCommand,
  DescribeLoadBalancersCommand,
  DescribeTargetGroupsCommand,
  ElasticLoadBalancingV2Client,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { DescribeDBClustersCommand, DescribeDBInstancesCommand, RDSClient } from '@aws-sdk/client-rds';
import { paginateListSecrets, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { paginateDescribeParameters, SSMClient } from '@aws-sdk/client-ssm';
import { CfnOutput } from 'aws-cdk-lib';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { stackId } from '../../../rehearsal/aws/cloudformation/cloudformation.ts';
import { targetGroupArn } from '../../../rehearsal/aws/elastic-load-balancing/elastic-load-balancing.ts';
import { ACCOUNT, deploy, REGION } from './deploy.ts';

const PLACE = { account: ACCOUNT, region: REGION };

/** What a paginator's pages have. */
async function all<Page, Item>(pages: AsyncIterable<Page>, of: (page: Page) => Item[] | undefined) {
  const items: Item[] = [];
  let count = 0;
  for await (const page of pages) {
    items.push(...(of(page) ?? []));
    count += 1;
  }
  return { items, pages: count };
}

it('describes the stacks that are deployed, those of others and what they nest, in pages', () =>
  deploy(
    (stack) => {
      const queue = new Queue(stack, 'Orders', { queueName: 'orders' });
      new CfnOutput(stack, 'QueueArn', { value: queue.queueArn, exportName: 'orders-arn' });
    },
    async ({ aws, client }) => {
      const nested = { ...PLACE, name: 'theirs-nested', resources: [] };
      aws.cloudFormation.put(nested);
      aws.cloudFormation.put({
        ...PLACE,
        name: 'theirs',
        parameters: { Password: '****' },
        resources: [
          { logicalId: 'Nested', type: 'AWS::CloudFormation::Stack', physicalId: stackId(nested) },
          ...Array.from({ length: 120 }, (_, number) => ({
            ...{ logicalId: `Queue${number}`, type: 'AWS::SQS::Queue', physicalId: `queue-${number}` },
          })),
        ],
      });
      const cloudFormation = new CloudFormationClient(client());
      const { Stacks: [own] = [] } = await cloudFormation.send(
        new DescribeStacksCommand({ StackName: 'test' }),
      );
      assert.deepEqual(
        own?.Outputs?.find(({ OutputKey }) => OutputKey === 'QueueArn')?.OutputValue,
        [`arn:aws:sqs:${REGION}:${ACCOUNT}:orders`][0],
      );
      const { StackResources: [queue] = [] } = await cloudFormation.send(
        new DescribeStackResourcesCommand({ StackName: 'test' }),
      );
      // What Ref gives: of a queue its URL.
      assert.equal(queue?.PhysicalResourceId, `${aws.endpoint}/${ACCOUNT}/orders`);
      const listed = await all(
        paginateListStackResources({ client: cloudFormation }, { StackName: 'theirs' }),
        (page) => page.StackResourceSummaries,
      );
      assert.deepEqual([listed.items.length, listed.pages], [121, 2]);
      const [{ PhysicalResourceId: id } = {}] = listed.items;
      const { Stacks: [inner] = [] } = await cloudFormation.send(
        new DescribeStacksCommand({ StackName: id ?? '' }),
      );
      assert.equal(inner?.StackName, 'theirs-nested');
      await assert.rejects(cloudFormation.send(new DescribeStacksCommand({ StackName: 'none' })), {
        name: 'ValidationError',
        message: 'Stack with id none does not exist',
      });
      const other = new CloudFormationClient(
        client({ Effect: 'Allow', Action: 'cloudformation:DescribeStacks', Resource: '*' }),
      );
      await assert.rejects(other.send(new DescribeStackResourcesCommand({ StackName: 'test' })), {
        name: 'AccessDenied',
        message:
          /is not authorized to perform: cloudformation:DescribeStackResources on resource: \S+stack\/test/,
      });
    },
  ));

it('describes load balancers, database servers and file systems that somebody has made', () =>
  deploy(
    (stack) => void new Queue(stack, 'Orders'),
    async ({ aws, client }) => {
      const subnets = Array.from({ length: 12 }, (_, number) => `subnet-${String(number).padStart(17, '0')}`);
      aws.elasticLoadBalancing.put({
        ...PLACE,
        name: 'front',
        type: 'network',
        vpcId: 'vpc-1',
        subnets: [{ id: 'subnet-1', availabilityZone: `${REGION}a` }],
        listeners: [{ port: 8443, protocol: 'TLS', targetGroup: 'web' }],
      });
      const elb = new ElasticLoadBalancingV2Client(client());
      const { TargetGroups: [group] = [] } = await elb.send(
        new DescribeTargetGroupsCommand({ TargetGroupArns: [targetGroupArn('web', PLACE)] }),
      );
      const { LoadBalancers: [balancer] = [] } = await elb.send(
        new DescribeLoadBalancersCommand({ LoadBalancerArns: group?.LoadBalancerArns }),
      );
      assert.deepEqual(balancer?.AvailabilityZones, [{ SubnetId: 'subnet-1', ZoneName: `${REGION}a` }]);
      const { Listeners: [listener] = [] } = await elb.send(
        new DescribeListenersCommand({ LoadBalancerArn: balancer?.LoadBalancerArn }),
      );
      assert.deepEqual([listener?.Port, listener?.Protocol], [8443, 'TLS']);
      assert.equal(listener?.DefaultActions?.[0]?.TargetGroupArn, group?.TargetGroupArn);
      await assert.rejects(
        elb.send(new DescribeTargetGroupsCommand({ TargetGroupArns: [targetGroupArn('none', PLACE)] })),
        { name: 'TargetGroupNotFoundException' },
      );

      const server = {
        ...{ ...PLACE, engineVersion: '8', port: 3306, masterUsername: 'admin' },
        securityGroupIds: ['sg-1'],
      };
      aws.rds.put({ ...server, identifier: 'one', kind: 'cluster', engine: 'aurora-mysql', host: 'one.rds' });
      aws.rds.put({ ...server, identifier: 'two', kind: 'instance', engine: 'mysql', host: 'two.rds' });
      const rds = new RDSClient(client());
      const { DBClusters: clusters = [] } = await rds.send(new DescribeDBClustersCommand({}));
      assert.deepEqual(
        clusters.map(({ DBClusterIdentifier: id, Endpoint: host, Port: port }) => [id, host, port]),
        [['one', 'one.rds', 3306]],
      );
      const { DBInstances: instances = [] } = await rds.send(new DescribeDBInstancesCommand({}));
      assert.deepEqual(
        instances.map(({ Endpoint: at, VpcSecurityGroups: groups }) => [at?.Address, groups?.length]),
        [['two.rds', 1]],
      );
      await assert.rejects(rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: 'one' })), {
        name: 'DBInstanceNotFoundFault',
      });

      aws.efs.put({
        ...PLACE,
        id: 'fs-1',
        mountTargets: subnets.map((subnetId) => ({
          ...{ subnetId, availabilityZone: `${REGION}a`, vpcId: 'vpc-1', securityGroupIds: ['sg-2'] },
        })),
        accessPoints: { 'fsap-1': { path: '/media', uid: 1000, gid: 1000 } },
      });
      const efs = new EFSClient(client());
      const targets = await all(
        paginateDescribeMountTargets({ client: efs }, { FileSystemId: 'fs-1' }),
        (page) => page.MountTargets,
      );
      assert.deepEqual([targets.items.length, targets.pages], [12, 2]);
      const { SecurityGroups: groups } = await efs.send(
        new DescribeMountTargetSecurityGroupsCommand({ MountTargetId: targets.items[11]?.MountTargetId }),
      );
      assert.deepEqual(groups, ['sg-2']);
      const { AccessPoints: points } = await efs.send(
        new DescribeAccessPointsCommand({ FileSystemId: 'fs-1' }),
      );
      assert.equal(points?.[0]?.RootDirectory?.Path, '/media');
    },
  ));

it('lists services, secrets and parameters in pages, and parameters without their values', () =>
  deploy(
    (stack) => void new Queue(stack, 'Orders'),
    async ({ aws, client }) => {
      for (let number = 0; number < 23; number++)
        aws.ecs.addService({ ...PLACE, cluster: 'shop', service: `service-${number}` });
      const ecs = new ECSClient(client());
      const services = await all(
        paginateListServices({ client: ecs }, { cluster: 'shop' }),
        (page) => page.serviceArns,
      );
      assert.deepEqual([services.items.length, services.pages], [23, 3]);
      await assert.rejects(
        ecs.send(new DescribeServicesCommand({ cluster: 'shop', services: services.items })),
        { name: 'InvalidParameterException' },
      );
      for (let number = 0; number < 103; number++)
        aws.secrets.put(`arn:aws:secretsmanager:${REGION}:${ACCOUNT}:secret:s${number}-a1B2c3`, 'x');
      const secrets = await all(
        paginateListSecrets({ client: new SecretsManagerClient(client()) }, {}),
        (page) => page.SecretList,
      );
      assert.deepEqual([secrets.items.length, secrets.pages], [103, 2]);
      for (let number = 0; number < 52; number++) aws.ssm.write(`shop-${number}`, 'x', PLACE);
      aws.ssm.write('shop-password', 'Never-Shown-1', { ...PLACE, keyId: 'alias/shop' });
      aws.ssm.write('other', 'x', PLACE);
      const parameters = await all(
        paginateDescribeParameters(
          { client: new SSMClient(client()) },
          { ParameterFilters: [{ Key: 'Name', Option: 'BeginsWith', Values: ['shop-'] }] },
        ),
        (page) => page.Parameters,
      );
      assert.deepEqual([parameters.items.length, parameters.pages], [53, 2]);
      const secure = parameters.items.find(({ Name: name }) => name === 'shop-password');
      assert.deepEqual([secure?.Type, secure?.KeyId], ['SecureString', 'alias/shop']);
      assert.doesNotMatch(JSON.stringify(parameters.items), /Never-Shown/);
    },
  ));
