import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { StatementRefused } from '../../../../../functions/shared/database/contract/errors.ts';
import {
  type InnodbDialect,
  prepare,
  type Server,
} from '../../../../../functions/shared/database/mysql-and-mariadb/innodb-server.ts';
import type { MysqlSession } from '../../../../../functions/shared/database/mysql-and-mariadb/session.ts';
import { filesOf } from '../../../../../functions/shared/database/mysql-and-mariadb/table-files.ts';

const address = { engine: 'mysql', host: 'database', port: 3306, certificateAuthority: 'rds' } as const;
const dialect: InnodbDialect = {
  name: 'MySQL',
  ask: async () => {},
  countWithin: (_, count) => `SELECT ${count}`,
  tooSlow: [],
  idleFromThreads: true,
  keepsRolledBackDeletes: true,
  files: { tablespaces: 'INNODB_TABLESPACES', tables: 'INNODB_TABLES' },
};

/**
 * What MySQL 5.7 answers, by its manual (INFORMATION_SCHEMA INNODB_SYS_TABLESPACES, INNODB_SYS_TABLES; the names of the files
 * of a full-text index: "InnoDB Full-Text Index Tables"): no such server can be had for a test. Aurora's files may be told as 0.
 */
function session(version: string, spaces: Record<string, unknown>[]): MysqlSession & { asked: string[] } {
  const asked: string[] = [];
  const has = version.startsWith('5.7') ? /INNODB_SYS_TABLE/ : /INNODB_TABLE/;
  return {
    asked,
    async query(statement) {
      asked.push(statement);
      if (statement.startsWith('SELECT VERSION')) return [{ version, lowerCase: 0, performanceSchema: 1 }];
      if (statement === 'SHOW GRANTS') return [{ grant: "GRANT PROCESS ON *.* TO 'size'@'%'" }];
      if (!statement.includes('information_schema.INNODB')) return [];
      if (!has.test(statement)) throw new StatementRefused('Unknown table', 'ER_UNKNOWN_TABLE');
      return /TABLESPACES/.test(statement)
        ? spaces
        : [
            { name: 'wa1_messageStore/messages', id: 327, space: 1 },
            { name: 'wa1_messageStore/split#P#p0', id: 328, space: 0 },
            { name: 'wa1_messageStore/split#P#p1', id: 329, space: 5 },
          ];
    },
    logInAs: async () => false,
  };
}

const SPACES = [
  { space: 1, name: 'wa1_messageStore/messages', bytes: 130_023_424 },
  { space: 2, name: 'wa1_messageStore/FTS_0000000000000147_00000000000001c9_INDEX_1', bytes: 98_304 },
  { space: 3, name: 'wa1_messageStore/parted#P#p0', bytes: 98_304 },
  { space: 4, name: 'wa1_messageStore/parted#P#p1', bytes: 98_304 },
  { space: 5, name: 'wa1_messageStore/split#P#p1', bytes: 98_304 },
];

async function filesAt(version: string, spaces = SPACES, change: Partial<Server> = {}) {
  const asks = session(version, spaces);
  const server = { ...(await prepare(asks, address, dialect)), ...change };
  return filesOf(asks, 'wa1_messageStore', server);
}

describe('what the files of tables take', () => {
  for (const version of ['5.7.44-log', '8.0.36', '9.7.0'])
    it(`is asked by the names that MySQL ${version} has`, async () => {
      const files = await filesAt(version);
      assert.ok(files.kind === 'known');
      assert.deepEqual(Object.fromEntries(files.sizes), {
        messages: 130_023_424 + 98_304,
        parted: 2 * 98_304,
      });
      assert.deepEqual([...files.fullText], [['messages', 98_304]]);
      // Of one part only the file is its own.
      assert.deepEqual([...files.elsewhere], ['split']);
    });

  it('is not told as nothing by a server that keeps its tables otherwise', async () => {
    const files = await filesAt('8.0.36', [{ space: 1, name: 'wa1_messageStore/messages', bytes: 0 }]);
    assert.ok(files.kind === 'known');
    assert.equal(files.sizes.get('messages'), undefined);
  });

  it('is unknown, with the reason, where the server has no such view or does not show it', async () => {
    const names = { tablespaces: 'INNODB_OTHER', tables: 'INNODB_OTHERS' };
    const other = await filesAt('8.0.36', SPACES, { files: names });
    assert.deepEqual(other, {
      kind: 'unknown',
      reason: 'the server has no information_schema.INNODB_OTHER with what files take',
    });
    const denied = await filesAt('8.0.36', SPACES, { grants: "GRANT USAGE ON *.* TO 'size'@'%'" });
    assert.match(denied.kind === 'unknown' ? denied.reason : '', /PROCESS/);
  });
});
