import type { EndpointService } from '../interface-endpoints.ts';

// CloudWatch's (`monitoring`) for the rows of the last week.
const DATABASE_SIZE = ['events', 'lambda', 'monitoring', 'secretsmanager'] as const;

/** What each job calls from inside the VPC, as the interface endpoints are named: `com.amazonaws.REGION.SERVICE`. */
export const ENDPOINT_SERVICES = {
  // Lambda's own for the checkpoints of a durable execution.
  'message-gc': ['events', 'lambda', 'secretsmanager', 'sqs'],
  // CloudWatch's for the rows of earlier runs.
  'message-gc with databases': ['events', 'lambda', 'monitoring', 'secretsmanager', 'sqs'],
  // Likewise for what came in the last weeks.
  'message-gc with watchWindow': ['events', 'lambda', 'monitoring', 'secretsmanager', 'sqs'],
  'media-gc': ['events', 'lambda', 'secretsmanager', 'sqs'],
  'database-size': DATABASE_SIZE,
  // AWS Backup's for the age of the media volume's last backup.
  'database-size with mediaVolume': ['backup', ...DATABASE_SIZE],
  // Its runs, and rotate-secret, which stands there too.
  'credential-rotation': ['ecs', 'events', 'lambda', 'secretsmanager'],
  // Parameter Store's for copies of the password there, as Meta's template has one.
  'credential-rotation with a parameter': ['ecs', 'events', 'lambda', 'secretsmanager', 'ssm'],
  'database-size with such a parameter': [...DATABASE_SIZE, 'ssm'],
  'application-settings': ['events', 'lambda', 'secretsmanager'],
  // CloudWatch's for the free space, Lambda's for the runs of message-gc too.
  'upgrade-check': ['ecs', 'events', 'lambda', 'monitoring', 'secretsmanager'],
  // Only where it stands in the VPC.
  'callback-relay': ['events'],
} as const satisfies Record<string, readonly EndpointService[]>;
