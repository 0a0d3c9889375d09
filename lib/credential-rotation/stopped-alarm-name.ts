import { stoppedAlarmName } from '../../functions/credential-rotation/contract.ts';

/** CloudWatch's limit. A service's name alone may be as long. */
const MAXIMUM_ALARM_NAME_LENGTH = 255;

/** How long the name of a rolled service may be, for its alarm to have a name. */
export function maximumServiceNameLength(deployment: string): number {
  return MAXIMUM_ALARM_NAME_LENGTH - stoppedAlarmName(deployment, '').length;
}
