import type { Place } from '../place.ts';

/** A function's ARN, of its name, partial or full ARN; with the qualifier, unless it has one already. */
export function functionArn(name: string, { account, region }: Place, qualifier = ''): string {
  const full = name.startsWith('arn:')
    ? name
    : `arn:aws:lambda:${region}:${/^\d{12}:function:/.test(name) ? name : `${account}:function:${name}`}`;
  const [, , , , , , , already] = full.split(':');
  return qualifier === '' || already !== undefined ? full : `${full}:${qualifier}`;
}
