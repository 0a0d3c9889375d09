import type { Aws } from './aws/server.ts';
import type { Resource } from './aws/template/resource.ts';

export function functionNamed({ deployed }: Aws, functionName: string): Resource | undefined {
  return deployed.ofType('AWS::Lambda::Function').find(({ name }) => name === functionName);
}

/** What a function of ours was configured with. */
export function settingsOf<Settings>(resource: Resource): Settings {
  const variables = resource.properties.child('Environment')?.child('Variables');
  return JSON.parse(variables?.text('UPKEEP_SETTINGS') ?? '');
}
