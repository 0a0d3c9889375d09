import { arnOf, byArn, type ResourceTypes } from '../template/resource.ts';

/** What is known of them in templates. */
export const SQS_RESOURCES: ResourceTypes = {
  'AWS::SQS::Queue': {
    name: 'QueueName',
    arn: arnOf('sqs'),
    ref: ({ account, name }, endpoint) => `${endpoint}/${account}/${name}`,
    attributes: { Arn: byArn, QueueName: (resource) => resource.name },
    properties: [
      'QueueName',
      'DelaySeconds',
      'KmsMasterKeyId',
      'KmsDataKeyReusePeriodSeconds',
      'MaximumMessageSize',
      'MessageRetentionPeriod',
      'ReceiveMessageWaitTimeSeconds',
      'RedrivePolicy',
      'RedriveAllowPolicy',
      'SqsManagedSseEnabled',
      'VisibilityTimeout',
      'Tags',
    ],
  },
  'AWS::SQS::QueuePolicy': { arn: arnOf('sqs', 'policy:'), properties: ['PolicyDocument', 'Queues'] },
};
