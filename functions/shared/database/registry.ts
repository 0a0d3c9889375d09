import type { ConnectionLimits } from './connection.ts';
import { type DatabaseAddress, ENGINES, type Engine, type EngineFamily } from './contract/engine.ts';
import { RotationRefused } from './contract/errors.ts';
import type { CredentialRotation, Strategy } from './contract/rotation.ts';
import type { SizeReader } from './contract/sizes.ts';
import { whyImpossible } from './rotation/strategies.ts';
import { SIZE_LIMITS } from './sizes/questions.ts';

/**
 * The rotation of a strategy on a database's engine. The engine's driver is loaded only here, so that a bundle may leave
 * out the other one (see {@link importsToLeaveOut}).
 *
 * @throws {@link RotationRefused} if the engine cannot do it.
 */
export async function credentialRotation(
  address: DatabaseAddress,
  strategy: Strategy,
): Promise<CredentialRotation> {
  const reason = whyImpossible(address.engine, strategy);
  if (reason !== undefined) throw new RotationRefused(reason);
  switch (ENGINES[address.engine]) {
    case 'mysql':
      return (await import('./mysql/rotation.ts')).mysqlRotation(address, strategy);
    case 'mariadb':
      return (await import('./mariadb/rotation.ts')).mariadbRotation(address, strategy);
    case 'postgres':
      return (await import('./postgres/rotation.ts')).postgresRotation(address, strategy);
  }
}

/**
 * Tells how large the tables of a database server are, by what the server knows of them itself: no row is read, no
 * lock is waited for, and the login needs no right to read a row. The engine's driver is loaded only here.
 */
export async function sizeReader(
  address: DatabaseAddress,
  limits: ConnectionLimits = SIZE_LIMITS,
): Promise<SizeReader> {
  switch (ENGINES[address.engine]) {
    case 'mysql':
      return (await import('./mysql/sizes.ts')).mysqlSizes(address, limits);
    case 'mariadb':
      return (await import('./mariadb/sizes.ts')).mariadbSizes(address, limits);
    case 'postgres':
      return (await import('./postgres/sizes.ts')).postgresSizes(address, limits);
  }
}

/**
 * The imports that a bundle does not need for databases of these engines, as the sources write them and as they do when
 * they are compiled: name them to esbuild as external. They bring most of a bundle's size.
 */
export function importsToLeaveOut(engines: readonly Engine[]): string[] {
  const needed = new Set<EngineFamily>(engines.map((engine) => ENGINES[engine]));
  return [...new Set(Object.values(ENGINES))]
    .filter((family) => !needed.has(family))
    .flatMap((family) => [`./${family}/rotation`, `./${family}/sizes`])
    .flatMap((module) => [`${module}.ts`, `${module}.js`]);
}
