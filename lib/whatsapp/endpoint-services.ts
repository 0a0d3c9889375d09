import type { EndpointService } from '../interface-endpoints.ts';

/** What each job calls from inside the VPC, as the interface endpoints are named: `com.amazonaws.REGION.SERVICE`. */
export const ENDPOINT_SERVICES = {
  // Lambda's own for the checkpoints of a durable execution.
  'message-gc': ['events', 'lambda', 'secretsmanager', 'sqs'],
  // CloudWatch's (`monitoring`) for the rows of the last week.
  'database-size': ['events', 'lambda', 'monitoring', 'secretsmanager'],
  // Only where it stands in the VPC.
  'callback-relay': ['events'],
} as const satisfies Record<string, readonly EndpointService[]>;
