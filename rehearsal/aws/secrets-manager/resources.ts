import { arnOf, byArn, hash, type ResourceTypes } from '../template/resource.ts';

/** What is known of them in templates. */
export const SECRETS_MANAGER_RESOURCES: ResourceTypes = {
  'AWS::SecretsManager::Secret': {
    name: 'Name',
    arn: (place, name) => `${arnOf('secretsmanager', 'secret:')(place, name)}-${hash(name, 6)}`,
    ref: byArn,
    attributes: { Id: byArn },
    properties: ['Name', 'Description', 'GenerateSecretString', 'SecretString', 'KmsKeyId', 'Tags'],
  },
  'AWS::SecretsManager::ResourcePolicy': {
    arn: arnOf('secretsmanager', 'policy:'),
    properties: ['SecretId', 'ResourcePolicy', 'BlockPublicPolicy'],
  },
  'AWS::SecretsManager::RotationSchedule': {
    arn: arnOf('secretsmanager', 'rotation-schedule:'),
    properties: ['SecretId', 'RotationLambdaARN', 'RotateImmediatelyOnUpdate'],
  },
};
