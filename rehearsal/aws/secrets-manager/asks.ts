import type {
  GetSecretValueCommandInput,
  RotateSecretCommandInput,
  UpdateSecretVersionStageCommandInput,
} from '@aws-sdk/client-secrets-manager';
import { type Ask, type Call, required } from '../cloud.ts';

interface OnSecret {
  SecretId: string | undefined;
}

/** What the operations on a secret ask of a policy, each with the condition keys that AWS says it carries. */
export function secretAsks(arnOf: (id: string, call: Call) => string) {
  const on =
    <Input extends OnSecret>(action: string, carried: (input: Input) => Ask['conditions'] = () => ({})) =>
    (input: Input, call: Call): Ask[] => {
      const arn = arnOf(required(input.SecretId), call);
      return [
        {
          action: `secretsmanager:${action}`,
          resource: arn,
          conditions: { 'secretsmanager:SecretId': arn, ...carried(input) },
        },
      ];
    };
  return {
    DescribeSecret: on('DescribeSecret'),
    GetResourcePolicy: on('GetResourcePolicy'),
    ListSecretVersionIds: on('ListSecretVersionIds'),
    PutSecretValue: on('PutSecretValue'),
    GetSecretValue: on<GetSecretValueCommandInput>('GetSecretValue', ({ VersionId, VersionStage }) => ({
      'secretsmanager:VersionId': VersionId,
      'secretsmanager:VersionStage': VersionStage ?? (VersionId ? undefined : 'AWSCURRENT'),
    })),
    UpdateSecretVersionStage: on<UpdateSecretVersionStageCommandInput>(
      'UpdateSecretVersionStage',
      ({ VersionStage }) => ({ 'secretsmanager:VersionStage': VersionStage }),
    ),
    RotateSecret: on<RotateSecretCommandInput>('RotateSecret', (input) => ({
      'secretsmanager:RotationLambdaARN': input.RotationLambdaARN,
      'secretsmanager:ModifyRotationRules': String(input.RotationRules !== undefined),
      'secretsmanager:RotateImmediately': String(input.RotateImmediately ?? true),
    })),
  };
}
