import type { Login } from '../contract/engine.ts';
import { missingPrivilege } from '../contract/errors.ts';
import { hasProcess, isRefusal, type Server } from './innodb-server.ts';
import type { MysqlSession } from './session.ts';

export async function idleByThreads(
  session: MysqlSession,
  login: Login,
  server: Server,
  databases: readonly string[],
  idleSeconds: number,
): Promise<number> {
  const columns = ['PROCESSLIST_COMMAND', 'PROCESSLIST_TIME', 'PROCESSLIST_DB'];
  try {
    const rows = await session.query(`SELECT ${columns.join(', ')} FROM performance_schema.threads`);
    return rows.filter(
      (row) =>
        row.PROCESSLIST_COMMAND === 'Sleep' &&
        Number(row.PROCESSLIST_TIME) > idleSeconds &&
        databases.includes(String(row.PROCESSLIST_DB)),
    ).length;
  } catch (error) {
    if (!isRefusal(error, 'ER_TABLEACCESS_DENIED_ERROR', 'ER_COLUMNACCESS_DENIED_ERROR')) throw error;
    if (hasProcess(server.grants)) return idleByProcessList(session, login, server, databases, idleSeconds);
    throw missingPrivilege(
      login.username,
      'see how long connections have been idle',
      // PROCESS would do too, but shows the text of others' statements.
      `GRANT SELECT (${columns.join(', ')}) ON performance_schema.threads TO ${server.account}`,
    );
  }
}

export async function idleByProcessList(
  session: MysqlSession,
  login: Login,
  { grants, account }: Server,
  databases: readonly string[],
  idleSeconds: number,
): Promise<number> {
  // Without it the list is of the own connections, and there is no error.
  if (!hasProcess(grants)) {
    throw missingPrivilege(
      login.username,
      "see others' connections",
      `GRANT PROCESS ON *.* TO ${account} (it also shows the text of the statements that run, with what is in them)`,
    );
  }
  const rows = await session.query(
    'SELECT COMMAND AS command, TIME AS seconds, DB AS databaseName FROM information_schema.PROCESSLIST',
  );
  return rows.filter(
    ({ command, seconds, databaseName }) =>
      command === 'Sleep' && Number(seconds) > idleSeconds && databases.includes(String(databaseName)),
  ).length;
}
