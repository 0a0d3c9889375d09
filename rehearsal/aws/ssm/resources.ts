import { arnOf, type ResourceTypes } from '../template/resource.ts';

/** What is known of them in templates. */
export const SSM_RESOURCES: ResourceTypes = {
  'AWS::SSM::Document': {
    name: 'Name',
    arn: arnOf('ssm', 'document/'),
    properties: ['Name', 'Content', 'DocumentFormat', 'DocumentType', 'TargetType', 'UpdateMethod', 'Tags'],
  },
};
