import type { PolicyDocument } from '../policy/document.ts';

const LOGS = ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:PutLogEvents'];

/** What Lambda needs to put a function's network interfaces into a VPC: its documentation's list. */
export const VPC_ACTIONS = [
  'ec2:CreateNetworkInterface',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSubnets',
  'ec2:DeleteNetworkInterface',
  'ec2:AssignPrivateIpAddresses',
  'ec2:UnassignPrivateIpAddresses',
];

/** Statements of the AWS-managed policies that CDK attaches by itself. Any other one stops the rehearsal. */
export const AWS_MANAGED_POLICIES: Record<string, PolicyDocument | undefined> = {
  AWSLambdaBasicExecutionRole: { Statement: { Effect: 'Allow', Action: LOGS, Resource: '*' } },
  AWSLambdaVPCAccessExecutionRole: {
    Statement: { Effect: 'Allow', Action: [...LOGS, ...VPC_ACTIONS], Resource: '*' },
  },
  AWSLambdaBasicDurableExecutionRolePolicy: {
    Statement: {
      Effect: 'Allow',
      Action: [...LOGS, 'lambda:CheckpointDurableExecution', 'lambda:GetDurableExecutionState'],
      Resource: '*',
    },
  },
};
