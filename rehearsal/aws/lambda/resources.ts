import { arnOf, byArn, hash, type ResourceTypes } from '../template/resource.ts';
import { functionArn } from './arn.ts';

/** What is known of them in templates. */
export const LAMBDA_RESOURCES: ResourceTypes = {
  'AWS::Lambda::Alias': {
    name: 'Name',
    identity: ['FunctionName'],
    arn: (place, name, properties) => `${functionArn(properties.text('FunctionName'), place)}:${name}`,
    ref: byArn,
    attributes: { AliasArn: byArn },
    properties: ['Name', 'Description', 'FunctionName', 'FunctionVersion'],
  },
  'AWS::Lambda::EventInvokeConfig': {
    arn: arnOf('lambda', 'event-invoke-config:'),
    properties: [
      'FunctionName',
      'Qualifier',
      'MaximumEventAgeInSeconds',
      'MaximumRetryAttempts',
      'DestinationConfig',
    ],
  },
  'AWS::Lambda::Function': {
    name: 'FunctionName',
    arn: arnOf('lambda', 'function:'),
    attributes: { Arn: byArn },
    properties: [
      'FunctionName',
      'Architectures',
      'Code',
      'DeadLetterConfig',
      'Description',
      'DurableConfig',
      'Environment',
      'EphemeralStorage',
      'Handler',
      'KmsKeyArn',
      'LoggingConfig',
      'MemorySize',
      'PackageType',
      'RecursiveLoop',
      'ReservedConcurrentExecutions',
      'Role',
      'Runtime',
      'RuntimeManagementConfig',
      'Tags',
      'Timeout',
      'TracingConfig',
      'VpcConfig',
    ],
  },
  'AWS::Lambda::Permission': {
    arn: arnOf('lambda', 'permission:'),
    properties: [
      'Action',
      'FunctionName',
      'Principal',
      'SourceAccount',
      'SourceArn',
      'FunctionUrlAuthType',
      'InvokedViaFunctionUrl',
    ],
  },
  'AWS::Lambda::Url': {
    // AWS has none: its function's stands for it there.
    arn: arnOf('lambda', 'function-url:'),
    attributes: {
      FunctionUrl: ({ arn, region }) => `https://${hash(arn, 32)}.lambda-url.${region}.on.aws/`,
    },
    properties: ['AuthType', 'Cors', 'InvokeMode', 'Qualifier', 'TargetFunctionArn'],
  },
  'AWS::Lambda::Version': {
    // Numbers, in the order of the template.
    makeName: (place, properties, next) => String(next(functionArn(properties.text('FunctionName'), place))),
    identity: ['FunctionName'],
    arn: (place, name, properties) => `${functionArn(properties.text('FunctionName'), place)}:${name}`,
    ref: byArn,
    attributes: { Version: (resource) => resource.name, FunctionArn: byArn },
    properties: ['FunctionName', 'Description', 'CodeSha256'],
  },
};
