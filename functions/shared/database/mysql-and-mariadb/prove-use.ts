import { type DatabaseAddress, ENGINES } from '../contract/engine.ts';
import { mayMake, RotationRefused } from '../contract/errors.ts';
import type { TestedLogin } from '../contract/rotation.ts';
import { rightsWithoutRoles, statementsToMatch, viewOwnAccount } from './account-view.ts';
import { type MysqlSession, withMysql } from './session.ts';

/** What the user in use can do that the other one must be able to do too. */
interface Model {
  account: Awaited<ReturnType<typeof viewOwnAccount>>;
  /** A statement that it may make. */
  statement: string;
}

/**
 * Logs in as containers do, into their database, and makes one request. Another user than the model must have the same
 * rights, and use one of them.
 * @throws RotationRefused with the statements that give what is missing
 */
export async function proveUse(
  address: DatabaseAddress,
  login: TestedLogin,
  model: TestedLogin = login,
): Promise<void> {
  if (model.username === login.username)
    return withMysql(inDatabase(address, login), login, async (session) => {
      await session.query('SELECT 1');
    });
  const wanted = await withMysql(inDatabase(address, model), model, async (session): Promise<Model> => {
    const statement = await someStatement(session);
    return { statement, account: await viewOwnAccount(session) };
  });
  await withMysql(inDatabase(address, login), login, async (session) => {
    const works = await mayMake(session, wanted.statement);
    const engine = ENGINES[address.engine] === 'mariadb' ? 'mariadb' : 'mysql';
    const account = await viewOwnAccount(session);
    if (works && statementsToMatch(account, wanted.account, engine).length === 0) return;
    const own =
      wanted.account.roles.length > 0
        ? await withMysql(inDatabase(address, model), model, rightsWithoutRoles)
        : undefined;
    const statements = statementsToMatch(account, wanted.account, engine, own);
    const { username } = wanted.account;
    throw new RotationRefused(
      `${login.username} cannot do what ${username} can, so that containers would log in and fail. ` +
        (statements.length > 0
          ? `An administrator mends it: ${statements.join('; ')}`
          : `Give it the rights of ${username}: those that SHOW GRANTS FOR ${username} tells.`),
    );
  });
}

function inDatabase(address: DatabaseAddress, { dbname }: TestedLogin): DatabaseAddress {
  return dbname === undefined ? address : { ...address, database: dbname };
}

/** Reads no row of a table that the session's user may read; where it may read none, of nothing. */
async function someStatement(session: MysqlSession): Promise<string> {
  const tables = await session.query(
    `SELECT TABLE_SCHEMA AS part, TABLE_NAME AS name FROM information_schema.TABLES
      WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA NOT IN ('information_schema', 'performance_schema', 'mysql', 'sys')
      ORDER BY TABLE_SCHEMA <=> DATABASE() DESC LIMIT 5`,
  );
  for (const { part, name } of tables) {
    const statement = `SELECT 1 FROM ${[part, name].map((word) => `\`${String(word).replaceAll('`', '``')}\``).join('.')} LIMIT 0`;
    if (await mayMake(session, statement)) return statement;
  }
  return 'SELECT 1';
}
