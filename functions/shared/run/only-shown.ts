const BEGINNING = 'Only shown, nobody is told of it: ';

/** What stands in the description of an alarm that tells nobody, since another one tells of the same cause. */
export function onlyShown(alarm: string): string {
  return `${BEGINNING}${alarm} tells of the same cause.`;
}

/** Whether an alarm's description says that it tells nobody. */
export function isOnlyShown(description = ''): boolean {
  return description.includes(BEGINNING);
}
