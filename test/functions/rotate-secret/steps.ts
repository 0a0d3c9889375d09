import type { RotationEvent } from '../../../functions/rotate-secret/contract.ts';
import { ROTATION_TOKEN } from './secrets-manager.ts';

/** The four events of a rotation, in the order in which Secrets Manager sends them. */
export function stepEvents(arn: string, token: string): RotationEvent[] {
  return (['createSecret', 'setSecret', 'testSecret', 'finishSecret'] as const).map((Step) => ({
    Step,
    SecretId: arn,
    ClientRequestToken: token,
    RotationToken: ROTATION_TOKEN,
  }));
}
