/** Of the stack of a deployment's upkeep. */
export function stackName(deployment: string): string {
  return `upkeep-${deployment}`;
}

/** Of the stack of the dashboard over all deployments of an account. */
export function overviewStackName(account: string): string {
  return `upkeep-overview-${account}`;
}

/** Of the stack of the media volume that is created for it. */
export function mediaStackName(deployment: string): string {
  return `upkeep-${deployment}-media`;
}
