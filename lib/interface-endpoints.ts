import {
  InterfaceVpcEndpoint,
  InterfaceVpcEndpointAwsService,
  type ISecurityGroup,
  Port,
  SecurityGroup,
} from 'aws-cdk-lib/aws-ec2';
import { Construct } from 'constructs';
import type { FunctionNetwork } from './function-network.ts';

/** An AWS service as its interface endpoint names it: `com.amazonaws.REGION.SERVICE`. */
export type EndpointService =
  | 'backup'
  | 'ecs'
  | 'events'
  | 'lambda'
  | 'monitoring'
  | 'secretsmanager'
  | 'sqs'
  | 'ssm';

const SERVICES: Record<EndpointService, InterfaceVpcEndpointAwsService> = {
  backup: InterfaceVpcEndpointAwsService.BACKUP,
  ecs: InterfaceVpcEndpointAwsService.ECS,
  events: InterfaceVpcEndpointAwsService.EVENTBRIDGE,
  lambda: InterfaceVpcEndpointAwsService.LAMBDA,
  monitoring: InterfaceVpcEndpointAwsService.CLOUDWATCH_MONITORING,
  secretsmanager: InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
  sqs: InterfaceVpcEndpointAwsService.SQS,
  ssm: InterfaceVpcEndpointAwsService.SSM,
};

export interface InterfaceEndpointsProps {
  /** The functions that use them. */
  readonly network: Required<FunctionNetwork>;
  readonly services: EndpointService[];
  /**
   * What else in the VPC calls these services. The endpoints take over the services' names for the whole VPC
   * (private DNS): what is not let in here can no longer reach them.
   * @default only the functions
   */
  readonly otherClients?: ISecurityGroup[];
}

/** Ways from a VPC without internet to AWS's own interfaces, open to the functions that use them. */
export class InterfaceEndpoints extends Construct {
  readonly securityGroup: SecurityGroup;

  constructor(
    scope: Construct,
    id: string,
    { network, services, otherClients = [] }: InterfaceEndpointsProps,
  ) {
    super(scope, id);
    const { vpc, subnets, securityGroups } = network;
    this.securityGroup = new SecurityGroup(this, 'SecurityGroup', {
      vpc,
      description: 'AWS interfaces for the upkeep functions',
      allowAllOutbound: false,
    });
    for (const client of [...securityGroups, ...otherClients])
      this.securityGroup.addIngressRule(client, Port.tcp(443), 'HTTPS to AWS');
    for (const service of [...new Set(services)].sort())
      new InterfaceVpcEndpoint(this, service, {
        vpc,
        service: SERVICES[service],
        subnets: { subnets },
        securityGroups: [this.securityGroup],
        privateDnsEnabled: true,
        // It would let in the VPC's whole address range, which is not known here anyway.
        open: false,
      });
  }
}
