import { Stack } from 'aws-cdk-lib';
import {
  InterfaceVpcEndpoint,
  InterfaceVpcEndpointAwsService,
  type ISecurityGroup,
  Port,
  SecurityGroup,
} from 'aws-cdk-lib/aws-ec2';
import { AnyPrincipal, PolicyStatement } from 'aws-cdk-lib/aws-iam';
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

/** What `InterfaceEndpoints` are made of. */
export interface InterfaceEndpointsProps {
  /** The functions that use them. */
  readonly network: Required<FunctionNetwork>;
  /** Of which AWS services an endpoint is made. */
  readonly services: EndpointService[];
  /**
   * What else in the VPC calls these services. The endpoints take over the services' names for the whole VPC
   * (private DNS): what is not let in here can no longer reach them.
   * @default only the functions
   */
  readonly otherClients?: ISecurityGroup[];
}

/**
 * Ways from a VPC without internet to AWS's own interfaces, open to the functions that use them, and only with credentials
 * of the stack's account: nothing is carried out of it by somebody else's.
 */
export class InterfaceEndpoints extends Construct {
  /** Of the endpoints: lets in who was named. */
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
    for (const service of [...new Set(services)].sort()) {
      const endpoint = new InterfaceVpcEndpoint(this, service, {
        vpc,
        service: SERVICES[service],
        subnets: { subnets },
        securityGroups: [this.securityGroup],
        privateDnsEnabled: true,
        // It would let in the VPC's whole address range, which is not known here anyway.
        open: false,
      });
      endpoint.addToPolicy(this.onlyOwnAccount());
    }
  }

  /**
   * Not the functions' roles alone: what else has the same security group, such as a task whose execution role reads its
   * secrets at the start, comes by these endpoints too, for they take over the services' names.
   */
  private onlyOwnAccount(): PolicyStatement {
    return new PolicyStatement({
      sid: 'OwnAccount',
      principals: [new AnyPrincipal()],
      actions: ['*'],
      resources: ['*'],
      conditions: { StringEquals: { 'aws:PrincipalAccount': Stack.of(this).account } },
    });
  }
}
