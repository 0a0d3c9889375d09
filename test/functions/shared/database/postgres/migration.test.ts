// In one file though long: one server of each version carries all that a migration meets.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import pg from 'pg';
import type { Login } from '../../../../../functions/shared/database/contract/engine.ts';
import {
  ConnectionRefused,
  DatabaseUnreachable,
  LoginRefused,
  RotationRefused,
} from '../../../../../functions/shared/database/contract/errors.ts';
import { randomPassword } from '../../../../../functions/shared/database/credential/password.ts';
import { migrateToAlternatingUsers } from '../../../../../functions/shared/database/postgres/migration.ts';
import type { PostgresMigration } from '../../../../../functions/shared/database/postgres/migration-plan.ts';
import { scramVerifier } from '../../../../../functions/shared/database/postgres/scram.ts';
import { credentialRotation } from '../../../../../functions/shared/database/registry.ts';
import { startContainers } from '../../../rotate-secret/containers.ts';
import { anyPassword, POSTGRES_15, postgresDatabase } from '../../../rotate-secret/databases.ts';
import { knowingCurrent, rejected, secretOf } from '../helpers.ts';
import { IN_POSTGRES, makeRich, SEEN } from './rich-database.ts';
import { as, connect } from './sessions.ts';

for (const [version, binaries] of [
  ['18', undefined],
  ['15', POSTGRES_15],
] as const)
  describe(`the migration to alternating users on PostgreSQL ${version}`, {
    skip: version === '15' && binaries === undefined && 'There is no PostgreSQL 15: install postgresql-15.',
  }, () => {
    let parts: Awaited<ReturnType<typeof start>>;
    before(async () => {
      parts = await start(binaries);
    });
    after(() => parts.database.stop());
    const migrate = (
      migration: Omit<PostgresMigration, 'current'> & { current?: Login } = {},
      admin = parts.superuser,
    ) =>
      migrateToAlternatingUsers(parts.database.address, admin, {
        current: parts.user,
        rotator: parts.database.rotator.username,
        ...migration,
      });

    it('is tried without leaving anything behind', async () => {
      const { outcome, statements, owner, notes } = await migrate({ dryRun: true });
      assert.deepEqual([outcome, owner], ['would-migrate', 'wa']);
      for (const database of ['postgres', 'elsewhere'])
        assert.match(
          notes.join('\n'),
          new RegExp(
            `^Compared in ${database}, in a transaction that was rolled back: 5 attributes, [34]\\d\\d settings, `,
            'm',
          ),
        );
      assert.match(notes.join('\n'), /in postgres, .* the rows of 1 tables under row level security\.$/m);
      assert.ok(statements.some((statement) => statement.startsWith('CREATE ROLE "wa_clone"')));
      assert.deepEqual(await parts.query("SELECT FROM pg_roles WHERE rolname = 'wa_clone'"), []);
    });

    it('is refused where something asks who logs in, by its name and before anything is done', async () => {
      const ask = [
        [
          'CREATE POLICY p ON wa.shared USING (session_user = $$wa$$)',
          'policy p on wa.shared',
          'DROP POLICY p ON wa.shared',
        ],
        [
          'ALTER TABLE wa.shared ADD COLUMN who TEXT DEFAULT session_user',
          'default of who in wa.shared',
          'ALTER TABLE wa.shared DROP COLUMN who',
        ],
        [
          'CREATE FUNCTION wa.whoever() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.id := length(session_user); RETURN NEW; END$$',
          'function wa.whoever()',
          'DROP FUNCTION wa.whoever()',
        ],
        ['CREATE VIEW wa.me AS SELECT session_user AS me', 'view wa.me', 'DROP VIEW wa.me'],
        [
          'CREATE VIEW wa.own AS SELECT usename FROM pg_stat_activity WHERE pid = pg_backend_pid()',
          'view wa.own',
          'DROP VIEW wa.own',
        ],
        [
          'CREATE DOMAIN wa.maker AS TEXT DEFAULT session_user',
          'default of domain wa.maker',
          'DROP DOMAIN wa.maker',
        ],
        [
          'CREATE FUNCTION wa.back() RETURNS void LANGUAGE plpgsql AS $$BEGIN SET ROLE NONE; END$$',
          'function wa.back()',
          'DROP FUNCTION wa.back()',
        ],
      ] as const;
      // As old applications have it, for their own statements.
      await parts.query('ALTER ROLE wa SET standard_conforming_strings = off');
      for (const [make] of ask) await parts.query(make);
      const { message } = await rejected(migrate(), RotationRefused);
      const { notes } = await migrate({ acceptLoginNames: true, dryRun: true });
      for (const [, name, drop] of ask) {
        assert.ok(message.includes(`${name} (database postgres)`), message);
        assert.ok(notes.some((note) => note.includes(name)));
        await parts.query(drop);
      }
      await parts.query('ALTER ROLE wa RESET standard_conforming_strings');
      assert.deepEqual(await parts.query("SELECT FROM pg_roles WHERE rolname = 'wa_clone'"), []);
    });

    it('is refused where the application has said so itself, as far as the server keeps statements', async () => {
      const { address } = parts.database;
      const unseen = async () =>
        (await migrate({ dryRun: true })).notes.some((note) => note.includes('shows it no statements'));
      assert.ok(await unseen());
      await parts.query('CREATE EXTENSION pg_stat_statements');
      assert.ok(!(await unseen()));
      await as(address, parts.user, "SET ROLE none; SELECT 'Secret-1' WHERE 'x' = session_user");
      const { message } = await rejected(migrate({ dryRun: true }), RotationRefused);
      assert.match(message, /a statement of the application, SET ROLE (none|\$1)/);
      assert.match(message, /a statement of the application, SELECT \$1 WHERE \$2 = session_user/);
      assert.ok(!message.includes('Secret-1'));
      assert.equal((await migrate({ dryRun: true, acceptLoginNames: true })).outcome, 'would-migrate');
      await parts.query('DROP EXTENSION pg_stat_statements');
    });

    it('is refused without what only a superuser may give, by its name', async () => {
      const { administrator } = parts;
      await parts.query('ALTER ROLE wa SET log_min_duration_statement = 77');
      // A placeholder is nobody's but a superuser's either.
      for (const setting of ['app.tenant', 'log_min_duration_statement']) {
        const { message } = await rejected(migrate({}, administrator), RotationRefused);
        assert.ok(
          message.startsWith(`wa has the setting ${setting}, which administrator may not give`),
          message,
        );
        await parts.query(/GRANT SET ON PARAMETER .*$/.exec(message)?.[0] ?? '');
      }
      assert.equal((await migrate({ dryRun: true }, administrator)).outcome, 'would-migrate');
      await parts.query('ALTER ROLE wa RESET log_min_duration_statement');
      await parts.query('ALTER ROLE wa REPLICATION');
      const replication = await rejected(migrate({}, administrator), RotationRefused);
      assert.match(replication.message, /wa has REPLICATION/);
    });

    it('is refused for a superuser, and beside a role of somebody else', async () => {
      await parts.query('ALTER ROLE wa SUPERUSER');
      assert.match((await rejected(migrate(), RotationRefused)).message, /wa is a superuser/);
      await parts.query('ALTER ROLE wa NOSUPERUSER');
      const { message } = await rejected(migrate({ users: ['wa', 'stranger'] }), RotationRefused);
      assert.match(message, /stranger already that is not of this application.*Choose another name/);
      assert.doesNotMatch(message, /drop/i);
    });

    it('is tried by an administrator who is no superuser, and compared in the same way', async () => {
      await parts.query('ALTER ROLE wa NOREPLICATION');
      const { notes } = await migrate({ dryRun: true }, parts.administrator);
      assert.match(
        notes.join('\n'),
        /Compared in postgres, .* the rows of 1 tables under row level security\.$/m,
      );
      await parts.query('ALTER ROLE wa REPLICATION');
    });

    it('finds without an effect whatever would be otherwise for the second user', async () => {
      const login = { username: 'tried', password: anyPassword() };
      const verifier = scramVerifier(login.password);
      await parts.query(`CREATE ROLE tried LOGIN PASSWORD '${verifier}' CONNECTION LIMIT 50`);
      await parts.query('ALTER ROLE tried SET work_mem = 4096');
      await parts.query('GRANT CONNECT ON DATABASE elsewhere TO tried');
      const tried = async () =>
        (await rejected(migrate({ current: login, dryRun: true }), RotationRefused)).message;

      // To act as somebody whom he may not act as: the server goes on as if it were not there.
      for (const scope of ['', ' IN DATABASE elsewhere']) {
        await parts.query(`ALTER ROLE tried${scope} SET role = stranger`);
        const [reset = ''] = /ALTER ROLE "tried".* RESET role/.exec(await tried()) ?? [];
        await parts.query(reset);
      }
      await parts.query('ALTER ROLE tried SET role = nobody_at_all');
      assert.match(await tried(), /is set to act as nobody_at_all, which it may not/);
      await parts.query('ALTER ROLE tried RESET role');
      // By the database, for everybody.
      await parts.query('GRANT auditors TO tried');
      await parts.query('ALTER DATABASE elsewhere SET role = auditors');
      assert.match(
        await tried(),
        /tried_clone in elsewhere: acts as was auditors and is tried.* Nothing was changed/,
      );
      await parts.query('ALTER DATABASE elsewhere RESET role');

      // One that there is, and has less.
      await parts.query('CREATE ROLE tried_clone CONNECTION LIMIT 5');
      await parts.query('GRANT tried TO tried_clone');
      await parts.query('ALTER ROLE tried_clone SET work_mem = 8192');
      assert.match(await tried(), /tried_clone in postgres: setting work_mem was 4096 and is 8192/);
      await parts.query('ALTER ROLE tried_clone RESET work_mem');
      await migrate({ current: login });
      const [clone] = await parts.query("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'tried_clone'");
      assert.deepEqual(clone, { rolconnlimit: 50 });
    });

    it('counts rows under a stranger’s policies where they are nobody’s code and stay so, and lets no policy out of its role', async () => {
      const { address } = parts.database;
      const [owner, login] = ['owner', 'tenant'].map((username) => ({ username, password: anyPassword() }));
      assert.ok(owner && login);
      for (const { username, password } of [owner, login])
        await parts.query(`CREATE ROLE ${username} LOGIN PASSWORD '${scramVerifier(password)}'`);
      await parts.query('CREATE SCHEMA theirs AUTHORIZATION owner');
      await parts.query('ALTER ROLE tenant SET "app.tenant" = 7');
      const secured = (name: string, policy: string, ...more: string[]) => [
        `CREATE TABLE theirs.${name} (id INT, who TEXT)`,
        `INSERT INTO theirs.${name} VALUES (7, 'tenant'), (7, 'owner'), (8, 'tenant')`,
        `GRANT SELECT ON theirs.${name} TO tenant`,
        `ALTER TABLE theirs.${name} ENABLE ROW LEVEL SECURITY`,
        `CREATE POLICY own ON theirs.${name} USING (${policy})`,
        ...more,
      ];
      const made = "LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RAISE LOG 'a stranger was run'; RETURN true; END$$";
      await as(
        address,
        owner,
        'GRANT USAGE ON SCHEMA theirs TO tenant',
        `CREATE FUNCTION theirs.lured() RETURNS bool ${made}`,
        'CREATE DOMAIN theirs.checked AS INT CHECK (theirs.lured())',
        ...secured('plain', "id = current_setting('app.tenant')::int AND who IN (current_user, 'x')"),
        ...secured('calls', 'theirs.lured()'),
        ...secured('asks', 'EXISTS (SELECT FROM theirs.plain)'),
        ...secured('dumps', "table_to_xml('theirs.plain', true, true, '') IS NOT NULL"),
        ...secured('domain', '7::theirs.checked = id'),
        ...secured('indexed', 'id = 7', 'CREATE INDEX ON theirs.indexed (id) WHERE theirs.lured()'),
        // Its own key says nothing of what the server runs of its parent's; a table keeps the mark that it had a partition.
        `CREATE FUNCTION theirs.zero(INT) RETURNS INT ${made.replace('true', '0')}`,
        'CREATE TABLE theirs.above (id INT) PARTITION BY LIST ((theirs.zero(1) + id))',
        'CREATE TABLE theirs.parted PARTITION OF theirs.above FOR VALUES IN (7) PARTITION BY LIST (id)',
        'CREATE TABLE theirs.below PARTITION OF theirs.parted FOR VALUES IN (7)',
        'ALTER TABLE theirs.parted DETACH PARTITION theirs.below',
        'GRANT SELECT ON theirs.parted TO tenant',
        'ALTER TABLE theirs.parted ENABLE ROW LEVEL SECURITY',
        'CREATE POLICY own ON theirs.parted USING (id = 7)',
      );
      // Who may log in may make another policy, or another table of the name, between a look and the count.
      await parts.query('ALTER ROLE owner NOLOGIN');
      await parts.query(
        'CREATE ROLE mover LOGIN; CREATE SCHEMA moved AUTHORIZATION mover; GRANT USAGE ON SCHEMA moved TO tenant',
      );
      for (const statement of [...secured('racy', 'id = 7'), ...secured('held', 'id = 7')])
        await parts.query(statement);
      await parts.query('ALTER TABLE theirs.racy OWNER TO mover; ALTER TABLE theirs.held SET SCHEMA moved');
      const before = (await parts.database.logs()).length;
      const { notes } = await migrate({ current: login, dryRun: true });
      await parts.query('DROP SCHEMA moved CASCADE; DROP TABLE theirs.racy; ALTER ROLE owner LOGIN');
      assert.ok(!(await parts.database.logs()).slice(before).includes('a stranger was run'));
      assert.match(notes.join('\n'), /in postgres, .* the rows of 1 tables under row level security\.$/m);
      const unseen = notes.flatMap((note) => /not compared of (\w+\.\w+)/.exec(note)?.[1] ?? []);
      const uncounted = ['asks', 'calls', 'domain', 'dumps', 'indexed', 'parted', 'racy'];
      assert.deepEqual(unseen, ['moved.held', ...uncounted.map((name) => `theirs.${name}`)]);

      // Whom the user obeys: his code is run, by the administrator's session, and cannot become that.
      await parts.query('GRANT owner TO tenant WITH ADMIN OPTION');
      await parts.query('DROP POLICY own ON theirs.calls');
      const escapes = [
        'SET ROLE NONE',
        'RESET ROLE',
        'SET SESSION AUTHORIZATION DEFAULT',
        'RESET SESSION AUTHORIZATION',
        'SET ROLE superuser',
        'ALTER ROLE owner SUPERUSER',
        'CREATE OR REPLACE FUNCTION pg_temp.counted() RETURNS int8 LANGUAGE sql AS $s$ALTER ROLE owner SUPERUSER; SELECT 3::int8$s$',
      ];
      await as(
        address,
        owner,
        `CREATE FUNCTION theirs.escapes() RETURNS bool LANGUAGE plpgsql AS $$DECLARE way TEXT; BEGIN
           FOREACH way IN ARRAY ARRAY[${escapes.map((way) => pg.escapeLiteral(way)).join(', ')}] LOOP
             BEGIN EXECUTE way; IF session_user <> 'tenant' THEN RAISE LOG 'it has escaped: %', way; END IF; EXCEPTION WHEN OTHERS THEN NULL; END;
           END LOOP;
           IF session_user <> 'tenant' THEN RAISE LOG 'it was run by %', session_user; END IF;
           PERFORM set_config('search_path', 'theirs', false);
           RETURN true; END$$`,
        'CREATE POLICY own ON theirs.calls USING (theirs.escapes())',
        'ALTER TABLE theirs.calls FORCE ROW LEVEL SECURITY',
      );
      await migrate({ current: login, acceptLoginNames: true, dryRun: true });
      const heard = (await parts.database.logs()).slice(before);
      assert.match(heard, /LOG: {2}it was run by tenant_clone/);
      assert.ok(!heard.includes('LOG:  it has escaped'), /LOG: {2}it has escaped.*/.exec(heard)?.[0]);
      await parts.query('DROP SCHEMA theirs CASCADE');
    });

    it('leaves nothing different, for either user, in any database', async () => {
      const { address, logIn } = parts.database;
      const { user } = parts;
      const seen = (login: Login) => as(address, login, ...IN_POSTGRES);
      const seenElsewhere = (login: Login) => as({ ...address, database: 'elsewhere' }, login, ...SEEN);
      // The administrator's own, which is nobody else's.
      await parts.query('ALTER ROLE superuser SET search_path = other, public');
      await parts.query('ALTER ROLE wa REPLICATION');
      const before = await seen(user);
      const beforeElsewhere = await seenElsewhere(user);
      const session = await connect(address, user);
      const containers = startContainers(() => user, logIn);
      const { outcome, notes } = await migrate();
      const again = await migrate();
      assert.deepEqual([outcome, again.outcome], ['migrated', 'was-migrated']);
      assert.ok(notes.some((note) => /expire on 2126-12-31/.test(note)));
      await containers.stop();
      assert.deepEqual(containers.logins.reasons, []);

      // A session that was open then still finds the schema of its name.
      await session.query('INSERT INTO shared VALUES (2)');
      await session.end();
      const clone = { username: 'wa_clone', password: anyPassword() };
      const [closed] = await parts.query(
        "SELECT rolcanlogin AS open, rolconnlimit, rolreplication FROM pg_roles WHERE rolname = 'wa_clone'",
      );
      assert.deepEqual(closed, { open: false, rolconnlimit: 50, rolreplication: true });
      await parts.query(
        `ALTER ROLE wa_clone LOGIN PASSWORD ${pg.escapeLiteral(scramVerifier(clone.password))}`,
      );
      for (const login of [user, clone]) {
        assert.deepEqual(await seen(login), before);
        assert.deepEqual(await seenElsewhere(login), beforeElsewhere);
      }
      const made = await as(
        address,
        clone,
        'CREATE TABLE made (id INT)',
        "SELECT has_table_privilege('readers', 'wa.made', 'SELECT') AS readable",
      );
      assert.deepEqual(made[1], [{ readable: true }]);
      await as(address, user, 'ALTER TABLE made ADD COLUMN name TEXT', 'DROP TABLE made');
      // What only one of them is given later is told.
      await parts.query('ALTER ROLE wa SET lock_timeout = 7');
      const later = await migrate();
      assert.equal(later.outcome, 'was-migrated');
      assert.match(
        later.notes.join('\n'),
        /^They differ by now: wa_clone in postgres: setting lock_timeout was 7 and is none\.$/m,
      );
      await parts.query('ALTER ROLE wa RESET lock_timeout');
      await parts.query('ALTER ROLE wa_clone NOLOGIN');
    });

    it('leaves a password as it is, whatever its characters and however it is stored', async () => {
      for (const [name, password, stored] of [
        ['o\'dd$$&"` ', 'pässwörd ⅸ', undefined],
        ['old', anyPassword(), 'md5'],
      ] as const) {
        if (name.endsWith(' ')) {
          await rejected(migrate({ current: { username: name, password } }), RotationRefused);
        }
        const login = { username: name.trim(), password };
        const identifier = pg.escapeIdentifier(login.username);
        if (stored) await parts.query(`SET password_encryption = '${stored}'`);
        await parts.query(`CREATE ROLE ${identifier} LOGIN PASSWORD ${pg.escapeLiteral(password)}`);
        await parts.query(`CREATE SCHEMA ${identifier} AUTHORIZATION ${identifier}`);
        await parts.query('RESET password_encryption');
        if (stored) continue;
        const before = await as(parts.database.address, login, ...SEEN);
        assert.equal((await migrate({ current: login })).outcome, 'migrated');
        assert.deepEqual(await as(parts.database.address, login, ...SEEN), before);
      }
    });

    it('takes a second user that AWS’s functions have made, once it owns nothing', async () => {
      const { address } = parts.database;
      const first = { username: 'shop', password: anyPassword() };
      const second = { username: 'shop_clone', password: anyPassword() };
      for (const { username, password } of [first, second]) {
        await parts.query(`CREATE ROLE ${username} LOGIN PASSWORD '${scramVerifier(password)}'`);
      }
      await parts.query('GRANT shop TO shop_clone');
      await parts.query('CREATE SCHEMA shop AUTHORIZATION shop');
      await as(address, second, 'CREATE TABLE shop.made (id INT)');
      const { message } = await rejected(migrate({ current: second }), RotationRefused);
      assert.match(message, /shop_clone owns something in postgres/);
      await parts.query(/REASSIGN OWNED BY .*?(?=\. Then)/.exec(message)?.[0] ?? '');
      const { outcome, owner } = await migrate({ current: second });
      assert.deepEqual([outcome, owner], ['migrated', 'shop']);
      const rotation = knowingCurrent(
        await credentialRotation(address, { kind: 'alternating-users', users: ['shop', 'shop_clone'] }),
      );
      await rotation.test(second);
      const { rotator } = parts.database;
      const read = async () => ({ current: secretOf(second), pending: undefined });
      assert.equal(await rotation.retire({ admin: rotator, username: 'shop', read }), 'retired');
      await rejected(rotation.test(first), LoginRefused);
      const pending = secretOf({ username: 'shop', password: randomPassword() });
      const request = { admin: rotator, current: secretOf(second), pending, previous: async () => undefined };
      assert.equal(await rotation.set(request), 'set');
      await as(address, pending, 'ALTER TABLE shop.made ADD COLUMN name TEXT');
    });

    it('takes the second user away again where it cannot log in, or the two are not the same', {
      skip: version === '15' && 'Event triggers of logins came with PostgreSQL 17.',
    }, async () => {
      const login = { username: 'app', password: anyPassword() };
      await parts.query(`CREATE ROLE app LOGIN PASSWORD '${scramVerifier(login.password)}'`);
      await parts.query('CREATE TABLE public.theirs (id INT)');
      for (const [body, error, text] of [
        ["RAISE EXCEPTION 'closed'", ConnectionRefused, /An event trigger of logins refuses it/],
        ['REVOKE SELECT ON public.theirs FROM app', RotationRefused, /table public\.theirs was t/],
        [
          'GRANT USAGE ON SCHEMA public TO app_clone; REVOKE SELECT ON public.theirs FROM app',
          RotationRefused,
          /It was closed; app_clone cannot be dropped.*DROP OWNED BY "app_clone"/,
        ],
      ] as const) {
        await parts.query('GRANT SELECT ON public.theirs TO app');
        await parts.query(
          `CREATE FUNCTION public.at_login() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$BEGIN IF session_user = 'app_clone' THEN ${body}; END IF; END$$`,
        );
        await parts.query('CREATE EVENT TRIGGER at_login ON login EXECUTE FUNCTION public.at_login()');
        await parts.query('ALTER EVENT TRIGGER at_login ENABLE ALWAYS');
        const failed = await rejected(migrate({ current: login, acceptLoginNames: true }), error);
        assert.match(failed.message, text);
        const left = await parts.query(
          "SELECT rolcanlogin AS open FROM pg_roles WHERE rolname = 'app_clone'",
        );
        assert.deepEqual(left, body.startsWith('GRANT') ? [{ open: false }] : []);
        await parts.query('DROP EVENT TRIGGER at_login');
        await parts.query('DROP FUNCTION public.at_login()');
      }
    });

    it('begins anew where it was cut off before it had compared what it made', {
      skip: version === '15' && 'Event triggers of logins came with PostgreSQL 17.',
    }, async () => {
      const login = { username: 'cut', password: anyPassword() };
      await parts.query(`CREATE ROLE cut LOGIN PASSWORD '${scramVerifier(login.password)}'`);
      await parts.query(
        `CREATE FUNCTION public.cut() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$BEGIN IF current_setting('session_authorization') = 'cut_clone'
           THEN PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'superuser'; END IF; END$$`,
      );
      await parts.query('CREATE EVENT TRIGGER cut ON login EXECUTE FUNCTION public.cut()');
      await parts.query('ALTER EVENT TRIGGER cut ENABLE ALWAYS');
      await rejected(migrate({ current: login, acceptLoginNames: true }), DatabaseUnreachable);
      await parts.query('DROP EVENT TRIGGER cut');
      await parts.query('DROP FUNCTION public.cut()');
      const left =
        "SELECT rolcanlogin AS open, shobj_description(oid, 'pg_authid') AS comment FROM pg_roles WHERE rolname = 'cut_clone'";
      const [cut] = await parts.query(left);
      assert.match(String(cut?.comment), /has not ended: run it again/);
      await parts.query('GRANT USAGE ON SCHEMA public TO cut_clone');
      const { message } = await rejected(migrate({ current: login }), RotationRefused);
      assert.match(message, /cut_clone cannot be dropped.*DROP OWNED BY "cut_clone"/);
      await parts.query('DROP OWNED BY cut_clone');
      const { outcome, statements } = await migrate({ current: login });
      assert.deepEqual([outcome, statements[0]], ['migrated', 'DROP ROLE "cut_clone"']);
      assert.deepEqual(await parts.query(left), [{ open: false, comment: null }]);
      assert.equal((await migrate({ current: login })).outcome, 'was-migrated');
    });

    it('is refused where row level security shows the second user other rows, though no text says why', async () => {
      const login = { username: 'rows', password: anyPassword() };
      await parts.query(`CREATE ROLE rows LOGIN PASSWORD '${scramVerifier(login.password)}'`);
      await parts.query('CREATE TABLE public.secured AS SELECT generate_series(1, 3) AS id');
      await parts.query('GRANT SELECT (id) ON public.secured TO rows');
      await parts.query('ALTER ROLE rows SET idle_in_transaction_session_timeout = 1');
      await parts.query('ALTER TABLE public.secured ENABLE ROW LEVEL SECURITY');
      await parts.query(
        "CREATE POLICY mine ON public.secured USING (current_setting('session_' || 'authorization') = 'rows')",
      );
      const { message } = await rejected(migrate({ current: login }), RotationRefused);
      assert.match(message, /in postgres rows sees 3 rows of public\.secured, rows_clone 0/);
      assert.deepEqual(await parts.query("SELECT FROM pg_roles WHERE rolname = 'rows_clone'"), []);
      await parts.query('CREATE TABLE public.unnamed (id INT)');
      await parts.query('GRANT SELECT ON public.unnamed TO rows');
      await parts.query('ALTER TABLE public.unnamed ENABLE ROW LEVEL SECURITY');
      await parts.query(
        'CREATE FUNCTION public.found() RETURNS bool LANGUAGE plpgsql AS $$BEGIN RETURN EXISTS (SELECT FROM unnamed_too); END$$',
      );
      await parts.query('CREATE POLICY found ON public.unnamed USING (public.found())');
      await parts.query('INSERT INTO public.unnamed VALUES (1)');
      const accepted = await migrate({ current: login, acceptLoginNames: true });
      assert.match(accepted.notes.join(), /rows_clone 0/);
      assert.match(accepted.notes.join(), /not compared of public\.unnamed \(SQLSTATE 42P01\)/);
      await parts.query('DROP TABLE public.secured, public.unnamed');
    });

    it('runs no policy of somebody else with the rights of the two, nor does a rotation', async () => {
      const { address, logs } = parts.database;
      const [mallory, login] = ['mallory', 'aimed'].map((username) => ({
        username,
        password: anyPassword(),
      }));
      assert.ok(mallory && login);
      for (const { username, password } of [mallory, login])
        await parts.query(`CREATE ROLE ${username} LOGIN PASSWORD '${scramVerifier(password)}'`);
      await parts.query('CREATE SCHEMA mallory AUTHORIZATION mallory');
      await as(
        address,
        mallory,
        // The server runs it as it plans a statement, though that reads no row.
        "CREATE FUNCTION mallory.lured() RETURNS bool IMMUTABLE LANGUAGE plpgsql AS $$BEGIN RAISE LOG 'lured %', session_user; RETURN true; END$$",
        'CREATE TABLE mallory.lure (id INT)',
        'ALTER TABLE mallory.lure ENABLE ROW LEVEL SECURITY',
        'CREATE POLICY lure ON mallory.lure USING (mallory.lured())',
        'GRANT USAGE ON SCHEMA mallory TO PUBLIC',
        'GRANT SELECT ON mallory.lure TO PUBLIC',
      );
      const lured = async () => (await logs()).match(/LOG: {2}lured \w+/g) ?? [];
      await as(address, login, 'SELECT 1 FROM mallory.lure LIMIT 0');
      assert.deepEqual(await lured(), ['LOG:  lured aimed']);
      const { notes } = await migrate({ current: login, acceptLoginNames: true });
      assert.match(notes.join(), /not compared of mallory\.lure \(its policies are mallory's/);
      const second = { username: 'aimed_clone', password: anyPassword() };
      await parts.query(`ALTER ROLE aimed_clone LOGIN PASSWORD '${scramVerifier(second.password)}'`);
      const users = ['aimed', 'aimed_clone'] as const;
      const rotation = await credentialRotation(address, { kind: 'alternating-users', users });
      await rotation.test(second, async () => login);
      assert.deepEqual(await lured(), ['LOG:  lured aimed']);
      await parts.query('DROP SCHEMA mallory CASCADE');
    });

    it('keeps the moment of an expiry, whatever the administrator’s style of dates', async () => {
      await parts.query("ALTER ROLE superuser SET datestyle = 'SQL, DMY'");
      // IST is another time zone's name too.
      await parts.query("ALTER ROLE superuser SET timezone = 'Asia/Kolkata'");
      await parts.query('CREATE DATABASE archived CONNECTION LIMIT 0');
      for (const [username, expiry] of [
        ['dated', '2130-06-01 12:00+00'],
        ['endless', 'infinity'],
      ] as const) {
        const login = { username, password: anyPassword() };
        await parts.query(
          `CREATE ROLE ${username} LOGIN PASSWORD '${scramVerifier(login.password)}' VALID UNTIL '${expiry}'`,
        );
        const { notes } = await migrate({ current: login });
        assert.equal(
          notes.some((note) => note.includes('expire')),
          username === 'dated',
        );
      }
      const [expiry] = await parts.query(
        "SELECT rolvaliduntil = '2130-06-01 12:00+00' AS same FROM pg_roles WHERE rolname = 'dated_clone'",
      );
      assert.deepEqual(expiry, { same: true });
      await parts.query('ALTER ROLE superuser RESET ALL');
    });

    it('is refused with names that the server would cut, or that are one', async () => {
      const long = 'ü'.repeat(32);
      for (const users of [
        ['wa', long],
        ['wa', 'wa'],
        ['wa', 'wa '],
      ] as const) {
        await rejected(migrate({ users }), RotationRefused);
      }
      await rejected(migrate({ current: { username: 'w'.repeat(60), password: 'x' } }), RotationRefused);
    });
  });

async function start(binaries: string | undefined) {
  const database = await postgresDatabase(
    { kind: 'single-password', user: 'wa' },
    {
      ...(binaries !== undefined && { binaries }),
      settings: { shared_preload_libraries: 'pg_stat_statements' },
    },
  );
  const { query, user } = database;
  const superuser = { username: 'superuser', password: anyPassword() };
  const administrator = { username: 'administrator', password: anyPassword() };
  await query(`CREATE ROLE superuser SUPERUSER LOGIN PASSWORD '${scramVerifier(superuser.password)}'`);
  await query(
    `CREATE ROLE administrator CREATEROLE LOGIN PASSWORD '${scramVerifier(administrator.password)}'`,
  );
  await query('GRANT wa TO administrator WITH ADMIN OPTION');
  await makeRich(query);
  // Others than the rich user are compared in one database, unless a test says otherwise.
  for (const name of ['template1', 'elsewhere'])
    await query(`REVOKE CONNECT ON DATABASE ${name} FROM PUBLIC`);
  return { database, query, user, superuser, administrator };
}
