import { arnOf, byArn, type ResourceTypes } from '../template/resource.ts';

/** What is known of them in templates. */
export const CLOUDWATCH_RESOURCES: ResourceTypes = {
  'AWS::CloudWatch::Dashboard': {
    name: 'DashboardName',
    arn: ({ account }, name) => `arn:aws:cloudwatch::${account}:dashboard/${name}`,
    properties: undefined,
  },
  'AWS::CloudWatch::Alarm': {
    name: 'AlarmName',
    arn: arnOf('cloudwatch', 'alarm:'),
    attributes: { Arn: byArn },
    properties: [
      'AlarmName',
      'AlarmDescription',
      'ActionsEnabled',
      'AlarmActions',
      'OKActions',
      'InsufficientDataActions',
      'ComparisonOperator',
      'DatapointsToAlarm',
      'Dimensions',
      'EvaluationPeriods',
      'MetricName',
      'Metrics',
      'Namespace',
      'Period',
      'Statistic',
      'Threshold',
      'TreatMissingData',
      'Unit',
      'WarmUpConfiguration',
      'Tags',
    ],
  },
};
