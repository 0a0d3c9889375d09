import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Login } from '../../../../../functions/shared/database/contract/engine.ts';
import { randomPassword } from '../../../../../functions/shared/database/credential/password.ts';
import { migrateToAlternatingUsers } from '../../../../../functions/shared/database/postgres/migration.ts';
import { scramVerifier } from '../../../../../functions/shared/database/postgres/scram.ts';
import { credentialRotation, sizeReader } from '../../../../../functions/shared/database/registry.ts';
import { anyPassword, postgresDatabase, type TestDatabase } from '../../../rotate-secret/databases.ts';
import { knowingCurrent, secretOf } from '../helpers.ts';
import { as } from './sessions.ts';

/** What the attacker's own functions write into the server's log. */
const CALLED = 'the attacker was called';
const SCHEMAS = ['mallory', 'public'];
/** Of the arguments of our statements, as the server or as a nearer match has them. */
const TYPES = [
  'text',
  'name',
  'oid',
  'int4',
  'int8',
  'bool',
  'regclass',
  'text[]',
  'name[]',
  'char',
  '"char"',
];

test('nothing of an attacker who may create in the path of everybody is run by any session of ours', async (t) => {
  const database = await postgresDatabase({ kind: 'single-password', user: 'wa' });
  t.after(() => database.stop());
  const { query } = database;
  const superuser = { username: 'superuser', password: anyPassword() };
  await query(`CREATE ROLE superuser SUPERUSER LOGIN PASSWORD '${scramVerifier(superuser.password)}'`);
  await query('GRANT CREATE ON SCHEMA public TO PUBLIC');

  // Once alone, to see which statements there are.
  await everything(database, superuser, 'mallory');
  const statements = statementsIn(await database.logs());
  const functions = namesIn(statements, /\b([a-z_][a-z_0-9]*) ?\(/g);
  const operators = namesIn(statements, /(?<![\w'])([=<>~*|+/-]+)(?![\w])/g);
  for (const name of ['unnest', 'pg_has_role', 'current_setting', 'count', 'pg_export_snapshot'])
    assert.ok(functions.includes(name), name);
  for (const name of ['=', '<>', '||', '~*']) assert.ok(operators.includes(name), name);

  const attacker = (await rolesOf(query)).find(({ name }) => name === 'mallory');
  assert.ok(attacker);
  await setTraps(database, functions, operators);
  // He is heard where his path counts.
  const victim = { username: 'victim', password: anyPassword() };
  await query(`CREATE ROLE victim LOGIN PASSWORD '${scramVerifier(victim.password)}'`);
  for (const statement of ["SELECT count('x'::text)", 'SELECT 1 FROM mallory.lure LIMIT 0']) {
    const to = (await database.logs()).length;
    await as(database.address, victim, statement);
    assert.ok((await database.logs()).slice(to).includes(CALLED), statement);
  }

  const from = (await database.logs()).length;
  const roles = await rolesOf(query);
  const failure: unknown = await everything(database, superuser, 'wa').then(
    () => undefined,
    (error: unknown) => error,
  );
  const heard = (await database.logs()).slice(from);
  assert.ok(!heard.includes(CALLED), heard.slice(heard.indexOf(CALLED) - 2000, heard.indexOf(CALLED) + 500));
  assert.ifError(failure);
  const now = await rolesOf(query);
  for (const { name, ...rights } of roles) {
    const { name: _, ...after } = now.find((role) => role.name === name) ?? { name };
    // What the migration itself gives: the user to its second self, and both to the rotator.
    if (!['wa', 'rotator', 'superuser'].includes(name)) assert.deepEqual(after, rights, name);
  }
  assert.equal(now.find(({ name }) => name === 'wa')?.superuser, false);
});

/** The migration of a user, a rotation, its end, and the sizes of the database. */
async function everything(database: TestDatabase, superuser: Login, username: string): Promise<void> {
  const { query, rotator, user } = database;
  const login = username === user.username ? user : { username, password: anyPassword() };
  if (login !== user) {
    await query(`CREATE ROLE ${username} LOGIN PASSWORD '${scramVerifier(login.password)}'`);
    await query(`CREATE SCHEMA ${username} AUTHORIZATION ${username}`);
    await query(`ALTER ROLE ${username} SET search_path = ${username}, public`);
  }
  // Of which rows are counted.
  await query(`CREATE TABLE ${username}.secured (id INT)`);
  await query(`GRANT SELECT ON ${username}.secured TO ${username}`);
  await query(`ALTER TABLE ${username}.secured ENABLE ROW LEVEL SECURITY`);
  await query(`CREATE POLICY every ON ${username}.secured USING (true)`);
  const address = { ...database.address, database: 'postgres' };
  const { owner } = await migrateToAlternatingUsers(address, superuser, {
    current: login,
    rotator: rotator.username,
    acceptLoginNames: true,
  });
  assert.equal(owner, username);
  const users = [username, `${username}_clone`] as const;
  const rotation = knowingCurrent(await credentialRotation(address, { kind: 'alternating-users', users }));
  const current = secretOf(login);
  const pending = secretOf({ username: users[1], password: randomPassword() });
  await rotation.set({ admin: rotator, current, pending, previous: async () => undefined });
  await rotation.set({ admin: rotator, current, pending, previous: async () => current });
  await rotation.test(pending, async () => current);
  assert.equal(await rotation.sessions(rotator, users[0]), 0);
  assert.equal(await rotation.retained(rotator, pending), true);
  const read = async () => ({ current: pending, pending: undefined });
  assert.equal(await rotation.retire({ admin: rotator, username, read }), 'retired');
  const sizes = await sizeReader(address);
  await query(`CREATE TABLE IF NOT EXISTS ${username}.messages (id BIGINT)`);
  await query(`GRANT SELECT ON ${username}.messages TO superuser`);
  const search = { table: 'messages', databases: ['postgres'] };
  await sizes.table(superuser, search).catch(() => {});
  await sizes.count(superuser, search, 5000).catch(() => {});
  await sizes.largestTable(superuser, ['postgres']);
  await sizes.idleConnections(superuser, ['postgres'], 60);
  if (username !== user.username) await query(`DROP TABLE ${username}.messages, ${username}.secured`);
}

/** The attacker's own of each name, of each kind of argument, in his schema and in everybody's. */
async function setTraps({ query }: TestDatabase, functions: string[], operators: string[]): Promise<void> {
  for (const schema of SCHEMAS) {
    await query(
      `CREATE FUNCTION ${schema}.trap() RETURNS bool LANGUAGE plpgsql AS $$BEGIN RAISE LOG '${CALLED}'; BEGIN EXECUTE 'ALTER ROLE mallory_clone SUPERUSER'; EXCEPTION WHEN OTHERS THEN NULL; END; RETURN true; END$$`,
    );
    const body = (result: string) =>
      `LANGUAGE sql AS $$SELECT ${schema}.trap(); SELECT NULL::pg_catalog.${result}$$`;
    const made: string[] = [];
    for (const name of functions) {
      const known = (await query(
        "SELECT pg_get_function_identity_arguments(p.oid) AS words, format_type(prorettype, NULL) AS result FROM pg_catalog.pg_proc p WHERE proname = $1 AND pronamespace = 'pg_catalog'::regnamespace AND prokind <> 'w' AND NOT proretset AND provariadic = 0 AND pg_get_function_identity_arguments(p.oid) !~ 'any|OUT|ORDER|internal'",
        [name],
      )) as { words: string; result: string }[];
      const kinds = new Set([...known.map(({ words }) => words), ...TYPES]);
      for (const words of kinds) {
        made.push(
          `CREATE OR REPLACE FUNCTION ${schema}."${name}"(${words}) RETURNS pg_catalog.text ${body('text')}`,
        );
      }
      for (const [one, two] of pairs()) {
        made.push(
          `CREATE OR REPLACE FUNCTION ${schema}."${name}"(${one}, ${two}) RETURNS pg_catalog.text ${body('text')}`,
        );
      }
    }
    for (const operator of operators) {
      for (const [one, two] of pairs()) {
        made.push(
          `CREATE OR REPLACE FUNCTION ${schema}.operator_trap(${one}, ${two}) RETURNS pg_catalog.bool ${body('bool')}`,
          `CREATE OPERATOR ${schema}.${operator} (LEFTARG = ${one}, RIGHTARG = ${two}, FUNCTION = ${schema}.operator_trap)`,
        );
      }
    }
    // Each by itself, for some cannot be.
    await query(
      `DO $do$ DECLARE statement pg_catalog.text; BEGIN FOREACH statement IN ARRAY $all$${arrayOf(made)}$all$::pg_catalog.text[] LOOP BEGIN EXECUTE statement; EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $do$`,
    );
    await query(`ALTER SCHEMA ${schema} OWNER TO mallory`);
  }
  // What the server runs as soon as it plans a statement on a table of his; he has the largest one of the name that is counted.
  await query(
    `CREATE FUNCTION mallory.lured() RETURNS pg_catalog.bool IMMUTABLE LANGUAGE plpgsql AS $$BEGIN RAISE LOG '${CALLED}'; RETURN true; END$$`,
  );
  for (const table of ['lure', 'messages']) {
    await query(`CREATE TABLE mallory.${table} AS SELECT pg_catalog.generate_series(1, 9000) AS id`);
    await query(`CREATE INDEX ON mallory.${table} (id) WHERE mallory.lured()`);
    await query(
      `CREATE STATISTICS mallory.${table}_statistics ON id, (mallory.lured()) FROM mallory.${table}`,
    );
    await query(`ALTER TABLE mallory.${table} OWNER TO mallory`);
    await query(`GRANT SELECT ON mallory.${table} TO PUBLIC`);
  }
  const path = 'mallory, public, pg_catalog';
  for (const role of ['ALL', 'wa', 'rotator', 'superuser', 'mallory_clone'])
    await query(`ALTER ROLE ${role} SET search_path = ${path}`);
  await query(`ALTER DATABASE postgres SET search_path = ${path}`);
  for (const schema of SCHEMAS) await query(`GRANT USAGE ON SCHEMA ${schema} TO PUBLIC`);
}

function pairs(): [string, string][] {
  const few = TYPES.slice(0, 8);
  return few.flatMap((one) => few.map((two): [string, string] => [one, two]));
}

function arrayOf(texts: readonly string[]): string {
  return `{${texts.map((text) => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`).join(',')}}`;
}

/** What the server says it was sent, without what this test itself says as the administrator. */
function statementsIn(log: string): string[] {
  return [...log.matchAll(/LOG: {2}(?:statement|execute [^:]+): ([\s\S]*?)(?=\n\d{4}-\d\d-\d\d |$)/g)].map(
    ([, statement = '']) => statement,
  );
}

function namesIn(statements: readonly string[], pattern: RegExp): string[] {
  const without = statements.map((text) => text.replaceAll(/'(?:[^']|'')*'|"[^"]*"/g, "''"));
  return [
    ...new Set(without.flatMap((text) => [...text.matchAll(pattern)].map(([, name = '']) => name))),
  ].filter((name) => !/--|\/\*/.test(name));
}

interface Rights {
  name: string;
  superuser: unknown;
  rest: unknown;
  memberships: unknown;
}

async function rolesOf(query: TestDatabase['query']): Promise<Rights[]> {
  const rows = await query(
    `SELECT r.rolname::pg_catalog.text AS name, rolsuper AS superuser, pg_catalog.concat_ws(' ', rolcreaterole, rolcreatedb, rolreplication, rolbypassrls) AS rest,
        ARRAY(SELECT m.roleid::pg_catalog.regrole::pg_catalog.text FROM pg_catalog.pg_auth_members m WHERE m.member OPERATOR(pg_catalog.=) r.oid ORDER BY 1) AS memberships
       FROM pg_catalog.pg_roles r WHERE NOT r.rolname LIKE 'pg\\_%' ORDER BY 1`,
  );
  return rows as unknown as Rights[];
}
