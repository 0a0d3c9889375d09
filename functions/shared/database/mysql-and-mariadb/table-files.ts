import { hasProcess, isRefusal, type Server } from './innodb-server.ts';
import type { MysqlSession } from './session.ts';

/** What files take, by table; or why that is not known. */
export type Files = { kind: 'known'; sizes: Map<string, number> } | { kind: 'unknown'; reason: string };

/**
 * What the files of a database's tables take, by table: parts and full-text indexes are added to theirs. MariaDB knows, from
 * 10.6 on, files of tables only that were opened since it was started: look at the tables first.
 */
export async function filesOf(
  session: MysqlSession,
  database: string,
  { grants, files }: Server,
): Promise<Files> {
  if (!hasProcess(grants))
    return { kind: 'unknown', reason: 'the server shows files only to who has PROCESS' };
  const folder = fileNameOf(database);
  if (folder === undefined)
    return { kind: 'unknown', reason: "its name has letters of which the file's name is not known" };
  // MySQL from 8.0 on has the database's own name there, the others that of the folder.
  const names = [...new Set([folder, database])];
  const isInFolder = names.map(() => 'NAME LIKE ?').join(' OR ');
  const inFolder = names.map((name) => `${name.replaceAll(/[\\%_]/g, '\\$&')}/%`);
  try {
    const spaces = await session.query(
      `SELECT NAME AS name, FILE_SIZE AS bytes FROM information_schema.${files.tablespaces} WHERE ${isInFolder}`,
      inFolder,
    );
    const tables = await session.query(
      `SELECT NAME AS name, TABLE_ID AS id FROM information_schema.${files.tables} WHERE ${isInFolder}`,
      inFolder,
    );
    const ids = new Map(
      tables.map(({ name, id }) => [
        BigInt(String(id)).toString(16).padStart(16, '0'),
        tableOf(String(name)),
      ]),
    );
    return { kind: 'known', sizes: sizesOf(spaces, ids) };
  } catch (error) {
    if (!isRefusal(error, 'ER_UNKNOWN_TABLE', 'ER_BAD_FIELD_ERROR')) throw error;
    return {
      kind: 'unknown',
      reason: `the server has no information_schema.${files.tablespaces} with what files take`,
    };
  }
}

/** @param ids the tables, by their ids in 16 hexadecimal digits, of which the files of full-text indexes are named. */
function sizesOf(
  spaces: readonly Record<string, unknown>[],
  ids: ReadonlyMap<string, string>,
): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const { name, bytes } of spaces) {
    const own = tableOf(String(name));
    const table = ids.get(/^fts_([0-9a-f]{16})_/i.exec(own)?.[1]?.toLowerCase() ?? '') ?? own;
    // A file has a page at the least: 0 is what a server says that keeps its tables otherwise.
    if (Number(bytes) > 0 && Number.isFinite(Number(bytes)))
      sizes.set(table, (sizes.get(table) ?? 0) + Number(bytes));
  }
  return sizes;
}

/** The table of a file's name, `folder/table` or `folder/table#p#part`. */
function tableOf(name: string): string {
  const own = name.slice(name.indexOf('/') + 1).replace(/#p#.*$/is, '');
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
