import { arnOf, byArn, type ResourceTypes } from '../template/resource.ts';

/** What is known of them in templates. */
export const SNS_RESOURCES: ResourceTypes = {
  'AWS::SNS::Subscription': {
    arn: arnOf('sns', 'subscription:'),
    ref: byArn,
    properties: ['TopicArn', 'Protocol', 'Endpoint', 'RedrivePolicy', 'Region', 'RawMessageDelivery'],
  },
  'AWS::SNS::Topic': {
    name: 'TopicName',
    arn: arnOf('sns'),
    ref: byArn,
    attributes: { TopicArn: byArn, TopicName: (resource) => resource.name },
    properties: ['TopicName', 'DisplayName', 'KmsMasterKeyId', 'Subscription', 'TracingConfig', 'Tags'],
  },
  'AWS::SNS::TopicPolicy': { arn: arnOf('sns', 'policy:'), properties: ['PolicyDocument', 'Topics'] },
};
