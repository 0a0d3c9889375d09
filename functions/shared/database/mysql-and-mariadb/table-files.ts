import { hasProcess, type Server } from './innodb-server.ts';
import type { MysqlSession } from './session.ts';

/**
 * What the files of a database's tables take, by table: parts and full-text indexes are added to theirs. Undefined without PROCESS.
 */
export async function filesOf(
  session: MysqlSession,
  database: string,
  { grants, files }: Server,
): Promise<Map<string, number> | undefined> {
  if (!hasProcess(grants)) return undefined;
  const folder = fileNameOf(database);
  if (folder === undefined) return undefined;
  const inFolder = `${folder.replaceAll(/[\\%_]/g, '\\$&')}/%`;
  const spaces = await session.query(
    `SELECT NAME AS name, FILE_SIZE AS bytes FROM information_schema.${files.tablespaces} WHERE NAME LIKE ?`,
    [inFolder],
  );
  const ids = new Map(
    (
      await session.query(
        `SELECT NAME AS name, TABLE_ID AS id FROM information_schema.${files.tables} WHERE NAME LIKE ?`,
        [inFolder],
      )
    ).map(({ name, id }) => [
      BigInt(String(id)).toString(16).padStart(16, '0'),
      tableOf(String(name), folder),
    ]),
  );
  const sizes = new Map<string, number>();
  for (const { name, bytes } of spaces) {
    const own = tableOf(String(name), folder);
    const table = ids.get(/^fts_([0-9a-f]{16})_/i.exec(own)?.[1]?.toLowerCase() ?? '') ?? own;
    if (Number.isFinite(Number(bytes))) sizes.set(table, (sizes.get(table) ?? 0) + Number(bytes));
  }
  return sizes;
}

/** The table of a file's name, `folder/table` or `folder/table#p#part`. */
function tableOf(name: string, folder: string): string {
  const own = name.slice(folder.length + 1).replace(/#p#.*$/is, '');
  return own.replaceAll(/@([0-9a-f]{4})/gi, (_, code) => String.fromCharCode(Number.parseInt(code, 16)));
}

/** How the server writes a name as that of a folder; undefined where that has rules that we do not know. */
function fileNameOf(name: string): string | undefined {
  if (/[^\x20-\x7e]/.test(name)) return undefined;
  return name.replaceAll(
    /[^A-Za-z0-9_]/g,
    (character) => `@${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
