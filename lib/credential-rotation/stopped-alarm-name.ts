/** The name of the alarm that rings when credential-rotation's roll stopped at a service. */
export function stoppedAlarmName(deployment: string, service: string): string {
  return `${deployment}-credential-rotation-stopped-${service}`;
}

/** CloudWatch's limit. A service's name alone may be as long. */
const MAXIMUM_ALARM_NAME_LENGTH = 255;

/** How long the name of a rolled service may be, for its alarm to have a name. */
export function maximumServiceNameLength(deployment: string): number {
  return MAXIMUM_ALARM_NAME_LENGTH - stoppedAlarmName(deployment, '').length;
}
