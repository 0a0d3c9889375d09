import { arnOf, byArn, type ResourceTypes } from '../template/resource.ts';

/** What is known of them in templates. */
export const LOGS_RESOURCES: ResourceTypes = {
  'AWS::Logs::QueryDefinition': {
    name: 'Name',
    arn: arnOf('logs', 'query-definition:'),
    properties: ['Name', 'LogGroupNames', 'QueryString'],
  },
  'AWS::Logs::LogGroup': {
    name: 'LogGroupName',
    arn: (place, name) => `${arnOf('logs', 'log-group:')(place, name)}:*`,
    attributes: { Arn: byArn },
    properties: ['LogGroupName', 'RetentionInDays', 'KmsKeyId', 'LogGroupClass', 'Tags'],
  },
};
