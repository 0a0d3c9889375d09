import type { DatabaseAddress } from '../contract/engine.ts';
import { RotationRefused } from '../contract/errors.ts';
import type { CredentialRotation, Strategy, StrategyMethods } from '../contract/rotation.ts';
import { countPatiently } from '../rotation/count-patiently.ts';
import { whyImpossible } from '../rotation/strategies.ts';
import { alternating } from './alternating-users.ts';
import { postgresLogins } from './logins.ts';
import { proveUse } from './prove-use.ts';
import { countSessions } from './roles.ts';
import { pooled, withPostgres } from './session.ts';
import { singlePassword } from './single-password.ts';
import { warnOfMd5 } from './stored-password.ts';

/**
 * Rotation on PostgreSQL and Aurora PostgreSQL. The server is sent SCRAM verifiers only: it logs statements that
 * fail, whatever is configured. It takes a verifier that is not well-formed for the password itself, without a
 * word: only the login of {@link CredentialRotation.test} shows that.
 */
export function postgresRotation(address: DatabaseAddress, strategy: Strategy): CredentialRotation {
  const owner = strategy.kind === 'alternating-users' ? (strategy.owner ?? strategy.users?.[0]) : undefined;
  return {
    ...methodsOf(address, strategy),

    test: async (login, model) =>
      proveUse(address, owner, login, strategy.kind === 'alternating-users' ? await model?.() : undefined),

    sessions: (admin, username, patience = 0) =>
      withPostgres(address, admin, (session) =>
        countPatiently(() => countSessions(session, username), patience),
      ),

    logins: (admin, question) =>
      withPostgres(address, admin, (session) => postgresLogins(session, admin.username, question)),
    refusedLogins: async () => undefined,
    preflight: async (admin, current) => {
      if (await withPostgres(address, admin, async ({ isPooled }) => isPooled)) throw pooled(address);
      return warnOfMd5(address, current, 'storeAs' in strategy ? strategy.storeAs : undefined);
    },
  };
}

function methodsOf(address: DatabaseAddress, strategy: Strategy): StrategyMethods {
  switch (strategy.kind) {
    case 'alternating-users':
      return alternating(address, strategy);
    case 'single-password':
      return singlePassword(address, strategy);
    case 'dual-password':
      throw new RotationRefused(whyImpossible(address.engine, strategy));
  }
}
