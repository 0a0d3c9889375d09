import { arnOf, type ResourceTypes } from '../template/resource.ts';

/** What is known of them in templates. */
export const SSM_RESOURCES: ResourceTypes = {
  'AWS::SSM::Parameter': {
    name: 'Name',
    arn: ({ account, region }, name) =>
      `arn:aws:ssm:${region}:${account}:parameter/${name.replace(/^\//, '')}`,
    properties: ['Name', 'Description', 'Type', 'Value', 'Tags'],
  },
  'AWS::SSM::Document': {
    name: 'Name',
    arn: arnOf('ssm', 'document/'),
    properties: ['Name', 'Content', 'DocumentFormat', 'DocumentType', 'TargetType', 'UpdateMethod', 'Tags'],
  },
};
