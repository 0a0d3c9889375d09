import {
  DescribeSecretCommand,
  type DescribeSecretResponse,
  ResourceNotFoundException,
} from '@aws-sdk/client-secrets-manager';
import type { ExaminedDeployment } from './examined-deployment.ts';

/** What Secrets Manager says of a secret in the deployment's region, without its value; `undefined` where it is not there. */
export async function describedSecret(
  { clients }: ExaminedDeployment,
  arn: string,
): Promise<DescribeSecretResponse | undefined> {
  try {
    return await clients.secretsManager.send(new DescribeSecretCommand({ SecretId: arn }));
  } catch (error) {
    if (!(error instanceof ResourceNotFoundException)) throw error;
    return undefined;
  }
}
