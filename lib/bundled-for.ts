import { Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { DatabaseAddress } from '../functions/shared/database/contract/engine.ts';
import { importsToLeaveOut } from '../functions/shared/database/registry.ts';
import { rdsRegionsOf } from './rds-roots.ts';
import type { UpkeepFunctionProps } from './upkeep-function.ts';

/** What the bundle of a function needs that speaks to these databases: their drivers, and their regions' root certificates. */
export function bundledFor(
  scope: Construct,
  databases: readonly DatabaseAddress[],
): Pick<UpkeepFunctionProps, 'importsToLeaveOut' | 'rdsRegions'> {
  return {
    importsToLeaveOut: importsToLeaveOut(databases.map(({ engine }) => engine)),
    rdsRegions: rdsRegionsOf(databases, Stack.of(scope).region),
  };
}
