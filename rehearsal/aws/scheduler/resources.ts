import { arnOf, byArn, type ResourceTypes } from '../template/resource.ts';

/** What is known of them in templates. */
export const SCHEDULER_RESOURCES: ResourceTypes = {
  'AWS::Scheduler::Schedule': {
    name: 'Name',
    identity: ['GroupName'],
    arn: (place, name, properties) =>
      arnOf('scheduler', 'schedule/')(place, `${properties.text('GroupName', 'default')}/${name}`),
    attributes: { Arn: byArn },
    properties: [
      'Name',
      'Description',
      'GroupName',
      'ScheduleExpression',
      'ScheduleExpressionTimezone',
      'FlexibleTimeWindow',
      'State',
      'StartDate',
      'EndDate',
      'Target',
      'KmsKeyArn',
    ],
  },
  'AWS::Scheduler::ScheduleGroup': {
    name: 'Name',
    arn: arnOf('scheduler', 'schedule-group/'),
    attributes: { Arn: byArn },
    properties: ['Name', 'Tags'],
  },
};
