/**
 * The regions with Lambda durable functions as of January 2026: US East (Ohio) at their launch in December 2025,
 * the others announced later in that month. More may have followed: `additionalDurableRegions` adds them.
 */
export const DURABLE_REGIONS = [
  'us-east-1',
  'us-east-2',
  'us-west-2',
  'eu-central-1',
  'eu-north-1',
  'eu-south-1',
  'eu-south-2',
  'eu-west-1',
  'ap-east-1',
  'ap-northeast-1',
  'ap-south-1',
  'ap-southeast-1',
  'ap-southeast-2',
  'ap-southeast-5',
  'ap-southeast-7',
];

/** Why runs cannot be kept in a region: what follows the field that names it. */
export function regionProblems(region: string, additionalDurableRegions: readonly string[]): string[] {
  if ([...DURABLE_REGIONS, ...additionalDurableRegions].includes(region)) return [];
  return [
    `is "${region}", which has no Lambda durable functions as far as is known here; it must be one of ${DURABLE_REGIONS.join(', ')}, or be named in additionalDurableRegions if it has got them since.`,
  ];
}
