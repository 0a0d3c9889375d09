import pg from 'pg';
import type { DatabaseAddress, Login } from '../../../../../functions/shared/database/contract/engine.ts';

/** A session as an application has it, with errors and a search path of its own. */
export async function connect(
  { host, port, database = 'postgres', certificateAuthority: ca }: DatabaseAddress,
  { username: user, password }: Login,
): Promise<pg.Client> {
  const client = new pg.Client({ host, port, database, user, password, ssl: { ca } });
  await client.connect();
  return client;
}

/** Runs statements as a user, one after the other, in a session of its own. */
export async function as(address: DatabaseAddress, login: Login, ...statements: string[]) {
  const client = await connect(address, login);
  try {
    const results: Record<string, unknown>[][] = [];
    for (const statement of statements) results.push((await client.query(statement)).rows);
    return results;
  } finally {
    await client.end();
  }
}
