import { hasProcess, isRefusal, type Server } from './innodb-server.ts';
import type { MysqlSession } from './session.ts';

/**
 * What files take, by table, of which `fullText` is that of full-text indexes; or why that is not known. `elsewhere`: tables of which a part has no
 * file of its own, or one that is not told: what the others take is not what they take.
 */
export type Files =
  | {
      kind: 'known';
      sizes: Map<string, number>;
      fullText: Map<string, number>;
      elsewhere: ReadonlySet<string>;
    }
  | { kind: 'unknown'; reason: string };

/** What is asked twice for, where two answers do not fit: a table may have been made anew in between. */
const ASK_AGAIN = 2;

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
    for (let time = 1; ; time++) {
      const tables = await session.query(
        `SELECT NAME AS name, TABLE_ID AS id, SPACE AS space FROM information_schema.${files.tables} WHERE ${isInFolder}`,
        inFolder,
      );
      const spaces = await session.query(
        `SELECT SPACE AS space, NAME AS name, FILE_SIZE AS bytes FROM information_schema.${files.tablespaces} WHERE ${isInFolder}`,
        inFolder,
      );
      const found = sizesOf(spaces, tables);
      if (found.elsewhere.size === 0 || time === ASK_AGAIN) return { kind: 'known', ...found };
    }
  } catch (error) {
    if (!isRefusal(error, 'ER_UNKNOWN_TABLE', 'ER_BAD_FIELD_ERROR')) throw error;
    return {
      kind: 'unknown',
      reason: `the server has no information_schema.${files.tablespaces} with what files take`,
    };
  }
}

function sizesOf(
  spaces: readonly Record<string, unknown>[],
  tables: readonly Record<string, unknown>[],
): Omit<Extract<Files, { kind: 'known' }>, 'kind'> {
  // Files of full-text indexes are named of their table's id, in 16 hexadecimal digits.
  const byId = new Map(
    tables.map(({ name, id }) => [BigInt(String(id)).toString(16).padStart(16, '0'), tableOf(String(name))]),
  );
  const ofFullText = (own: string) => byId.get(/^fts_([0-9a-f]{16})_/i.exec(own)?.[1]?.toLowerCase() ?? '');
  const sizes = new Map<string, number>();
  const fullText = new Map<string, number>();
  const told = new Set<string>();
  const add = (to: Map<string, number>, table: string, bytes: number) =>
    to.set(table, (to.get(table) ?? 0) + bytes);
  for (const { space, name, bytes } of spaces) {
    const own = tableOf(String(name));
    const indexed = ofFullText(own);
    // A file has a page at the least: 0 is what a server says that keeps its tables otherwise.
    if (!(Number(bytes) > 0 && Number.isFinite(Number(bytes)))) continue;
    told.add(String(space));
    add(sizes, indexed ?? own, Number(bytes));
    if (indexed !== undefined) add(fullText, indexed, Number(bytes));
  }
  const elsewhere = new Set(
    tables.flatMap(({ name, space }) => {
      const own = tableOf(String(name));
      const indexed = ofFullText(own);
      // MariaDB opens files of full-text indexes no earlier than they are used.
      if (told.has(String(space)) || (indexed !== undefined && Number(space) !== 0)) return [];
      return [indexed ?? own];
    }),
  );
  for (const table of elsewhere) sizes.delete(table);
  return { sizes, fullText, elsewhere };
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
