import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Login } from '../../functions/shared/database/contract/engine.ts';
import { scramVerifier } from '../../functions/shared/database/postgres/scram.ts';
import { startContainers } from '../functions/rotate-secret/containers.ts';
import {
  anyPassword,
  databaseFor,
  mariadbDatabase,
  mysqlDatabase,
  postgresDatabase,
  type TestDatabase,
} from '../functions/rotate-secret/databases.ts';
import { startSecretsManager } from '../functions/rotate-secret/secrets-manager.ts';
import { IN_POSTGRES, makeRich, SEEN } from '../functions/shared/database/postgres/rich-database.ts';
import { as, connect } from '../functions/shared/database/postgres/sessions.ts';
import { inTerminal } from './command-line.ts';
import { COMPILE_CACHE } from './compile-cache.ts';

const REPOSITORY = new URL('../../', import.meta.url).pathname;
const SECRET = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:wa-db-AbCdEf';
const ADMINISTRATOR = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:rds!cluster-AbCdEf';

/** What operators are told to type: for the migration, and back. */
const [DOCUMENTED = '', DOCUMENTED_UNDO = ''] = [
  ...readFileSync(join(REPOSITORY, 'docs/credential-rotation.md'), 'utf8').matchAll(
    /^```sh\n(npx wa-upkeep migrate-to-alternating-users [\s\S]*?)^```$/gm,
  ),
].map(([, command = '']) => command);

describe('wa-upkeep migrate-to-alternating-users', () => {
  let parts: Awaited<ReturnType<typeof start>>;
  before(async () => {
    parts = await start();
  });
  after(() => parts.stop());

  const EVERYTHING = ['--host', 'localhost', '--secret', SECRET, '--administrator', ADMINISTRATOR];

  it('tells its arguments', async () => {
    const { exitCode, stdout } = await parts.run(['--help']);
    assert.equal(exitCode, 0);
    for (const [argument] of DOCUMENTED.matchAll(/--\w+/g)) assert.ok(stdout.includes(`  ${argument} `));
  });

  const NOT_UNDERSTOOD: [string, string[], string][] = [
    ['no arguments', [], '--host is missing.'],
    ['no secret', ['--host', 'localhost'], '--secret is missing.'],
    ['no administrator', EVERYTHING.slice(0, 4), '--administrator is missing.'],
    [
      'a password in place of a secret',
      ['--host', 'localhost', '--secret', 'Secret-1'],
      '--secret must be the ARN of a secret of Secrets Manager.',
    ],
    ['no port', [...EVERYTHING, '--port', 'x'], '--port must be a port, not x.'],
    ['no engine', [...EVERYTHING, '--engine', 'oracle'], '--engine must be one of mysql, aurora-mysql,'],
    [
      'one user of two',
      [...EVERYTHING, '--user', 'wa'],
      '--user must be given twice, with the names of both users, or not at all.',
    ],
    ['an argument that there is not', ['--password', 'x'], "Unknown option '--password'"],
  ];
  for (const [what, words, sentence] of NOT_UNDERSTOOD)
    it(`is not understood with ${what}`, async () => {
      const { exitCode, stdout, stderr } = await parts.run(words);
      assert.deepEqual({ exitCode, stdout }, { exitCode: 2, stdout: '' });
      assert.ok(stderr.startsWith(sentence) && stderr.endsWith('See --help.\n'), stderr);
      assert.ok(!stderr.includes('Secret-1'));
    });

  it('says what is wrong with a secret, a certificate authority or the administrator, and changes nothing', async () => {
    const all = [...EVERYTHING, ...parts.where];
    const but = (argument: string, value: string) => [...all, `--${argument}`, value];
    for (const [words, sentence] of [
      [but('secret', `${SECRET}x`), /secret:wa-db-AbCdEfx does not exist or has no value/],
      [but('host', 'other.internal'), /is of the host localhost; configured is other\.internal/],
      [but('administrator', SECRET), /wa cannot change itself/],
      [but('certificate-authority', 'none.pem'), /file of --certificate-authority cannot be read: ENOENT/],
      [but('port', '9'), /is of port \d+; configured is 9/],
      [
        but('user', 'a').concat('--user', 'b'),
        /secret's user is wa, but a and b are configured to alternate/,
      ],
      [
        but('user', 'wa').concat('--user', 'occupied'),
        /There is a role occupied already that is not of this application/,
      ],
    ] as const) {
      const { exitCode, stdout, stderr } = await parts.run(words);
      assert.deepEqual({ exitCode, stdout }, { exitCode: 1, stdout: '' });
      assert.match(stderr, sentence);
      assert.ok(!stderr.includes('    at '), stderr);
    }
    const unreachable = await parts.run(all, {
      AWS_ENDPOINT_URL: 'http://127.0.0.1:9',
      AWS_MAX_ATTEMPTS: '1',
    });
    assert.equal(unreachable.exitCode, 1);
    assert.match(
      unreachable.stderr,
      /wa-db-AbCdEf cannot be read: .*ECONNREFUSED.*secretsmanager:GetSecretValue/s,
    );
  });

  it('changes nothing when the secret does not hold the password that the database has', async () => {
    await parts.database.query(`ALTER ROLE wa PASSWORD '${scramVerifier(anyPassword())}'`);
    const { exitCode, stderr } = await parts.runDocumented();
    assert.equal(exitCode, 1);
    assert.match(stderr, /does not accept the secret's current password for wa, so nothing was changed/);
    await parts.database.query(`ALTER ROLE wa PASSWORD '${scramVerifier(parts.database.user.password)}'`);
  });

  it('names what the administrator lacks; the statements are enough', async () => {
    const refused = await parts.runDocumented();
    assert.equal(refused.exitCode, 1);
    const [, create, grant] =
      /(ALTER ROLE "administrator" CREATEROLE), .* (GRANT "wa" TO "administrator" WITH ADMIN TRUE)\./.exec(
        refused.stderr,
      ) ?? [];
    await parts.database.query(`${create}`);
    await parts.database.query(`${grant}`);
    // A placeholder is nobody's but a superuser's.
    const setting = await parts.runDocumented();
    await parts.database.query(
      /GRANT SET ON PARAMETER "app\.tenant" TO .*$/m.exec(setting.stderr)?.[0] ?? '',
    );
  });

  it('tries it without leaving anything behind, and prints the statements', async () => {
    const { exitCode, stdout, stderr } = await parts.runDocumented('--dry-run');
    assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: '' });
    assert.match(stdout, /^CREATE ROLE "wa_clone".*;$/m);
    for (const database of ['postgres', 'elsewhere'])
      assert.match(
        stdout,
        new RegExp(`^Compared in ${database}, in a transaction that was rolled back: `, 'm'),
      );
    assert.match(
      stdout,
      /would-migrate: wa and wa_clone would act as wa, on localhost:\d+. Nothing was changed./,
    );
    const { status, shown } = await parts.tryOnTerminal();
    assert.equal(status, 0, shown);
    assert.match(shown, /^would-migrate: wa and wa_clone would act as wa/m);
    assert.deepEqual(await parts.database.query("SELECT FROM pg_roles WHERE rolname = 'wa_clone'"), []);
  });

  it('makes two users of one while that one logs in and keeps its sessions, and says so the next time', async () => {
    const { database, runDocumented } = parts;
    const elsewhere = { ...database.address, database: 'elsewhere' };
    const seenBy = async (login: Login) => [
      await as(database.address, login, ...IN_POSTGRES),
      await as(elsewhere, login, ...SEEN),
    ];
    const seen = await seenBy(database.user);
    const open = await connect(database.address, database.user);
    const containers = startContainers(() => database.user, database.logIn);
    const { promise: until, resolve: end } = Promise.withResolvers<void>();
    const session = database.logIn(database.user, { until: () => until });
    const first = await runDocumented();
    end();
    await session;
    const again = await runDocumented();
    await containers.stop();
    assert.deepEqual(containers.logins.reasons, []);
    assert.ok(containers.logins.made > 3);
    for (const [{ exitCode, stdout, stderr }, outcome] of [
      [first, 'migrated'],
      [again, 'was-migrated'],
    ] as const) {
      assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: '' });
      assert.ok(stdout.includes(`${outcome}: wa and wa_clone act as wa, on localhost:`), stdout);
      assert.match(stdout, /strategy: { kind: 'alternating-users', users: \['wa', 'wa_clone'\] }/);
    }
    // A rich database is the same for either, and for who was there.
    await open.query('INSERT INTO shared VALUES (2)');
    await open.end();
    const clone = { username: 'wa_clone', password: anyPassword() };
    await database.query(`ALTER ROLE wa_clone LOGIN PASSWORD '${scramVerifier(clone.password)}'`);
    for (const login of [database.user, clone]) assert.deepEqual(await seenBy(login), seen);
    await database.query('ALTER ROLE wa_clone NOLOGIN');
  });

  it('opens both users for those who set a password and open nobody', async () => {
    const logInOf = () =>
      parts.database.query(
        "SELECT rolname::text AS name, rolcanlogin AS open FROM pg_roles WHERE rolname IN ('wa', 'wa_clone') ORDER BY 1",
      );
    assert.deepEqual(await logInOf(), [
      { name: 'wa', open: true },
      { name: 'wa_clone', open: false },
    ]);
    const opened = await parts.runUndo();
    assert.deepEqual({ exitCode: opened.exitCode, stderr: opened.stderr }, { exitCode: 0, stderr: '' });
    assert.match(opened.stdout, /^opened: wa and wa_clone may both log in/);
    assert.ok((await logInOf()).every(({ open }) => open === true));
    assert.match((await parts.runUndo()).stdout, /^was-open:/);
    // What AWS's function does next.
    const password = anyPassword();
    await parts.database.query(`ALTER USER wa_clone WITH PASSWORD '${password}'`);
    await parts.database.logIn({ username: 'wa_clone', password });
  });

  it('writes no password, and hands none to the server', async () => {
    const logs = await parts.database.logs();
    for (const { password } of [parts.database.user, parts.administrator]) {
      assert.ok(!logs.includes(password), "in the server's log");
      assert.ok(!parts.written.some((text) => text.includes(password)), 'in the output or the arguments');
    }
    assert.ok(parts.written.length > 10);
  });
});

for (const [engine, startDatabase] of [
  ['mysql', mysqlDatabase],
  ['mariadb', mariadbDatabase],
] as const)
  it(`wa-upkeep migrate-to-alternating-users makes a second user on ${engine}, and opens both again`, async (t) => {
    const database = await databaseFor(t, startDatabase, { kind: 'dual-password' });
    if (database === undefined) return;
    const { query } = database;
    const administrator = { username: 'everything', password: anyPassword() };
    await query('CREATE USER everything IDENTIFIED BY ?', [administrator.password]);
    await query('GRANT ALL ON *.* TO everything WITH GRANT OPTION');
    await query('GRANT wa_rights TO everything WITH ADMIN OPTION');
    const parts = await runsOn(database, administrator);
    try {
      const rotator = await parts.run([
        ...['--host', 'localhost', '--secret', SECRET, '--administrator', ADMINISTRATOR],
        ...['--rotator', 'x', ...parts.where],
      ]);
      assert.match(rotator.stderr, /--rotator is for PostgreSQL, not for/);
      for (const [more, outcome] of [
        [['--dry-run'], 'would-migrate: wa and wa_clone would have the same rights'],
        [[], 'migrated: wa and wa_clone have the same rights'],
        [[], 'was-migrated: wa and wa_clone have the same rights'],
      ] as const) {
        const { exitCode, stdout, stderr } = await parts.runDocumented(...more);
        assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: '' });
        assert.ok(stdout.includes(outcome), stdout);
        assert.match(stdout, /^Compared on %: \d+ rights on \d+ things, /m);
      }
      const opened = await parts.runUndo();
      assert.match(opened.stdout, /^opened: wa and wa_clone may both log in/);
      await query("CREATE USER wa@'10.9.%' IDENTIFIED BY ?", [anyPassword()]);
      const other = await parts.runDocumented('--dry-run');
      assert.match(other.stderr, /current password for wa on 10\.9\.%, so nothing was changed/);
      for (const { password } of [database.user, administrator])
        assert.ok(!parts.written.some((text) => text.includes(password)));
    } finally {
      await parts.stop({ keepDatabase: true });
    }
  });

/** A rich database, and an administrator that is no superuser and lacks what it needs. */
async function start() {
  const database = await postgresDatabase({ kind: 'single-password', user: 'wa' });
  const administrator = { username: 'administrator', password: anyPassword() };
  await database.query(`CREATE ROLE administrator LOGIN PASSWORD '${scramVerifier(administrator.password)}'`);
  await database.query('CREATE ROLE occupied');
  await makeRich(database.query);
  return runsOn(database, administrator);
}

/** The command as it is documented, with a database and secrets. */
async function runsOn(database: TestDatabase, administrator: Login) {
  const folder = mkdtempSync(join(tmpdir(), 'upkeep-migration-'));
  const secretsManager = await startSecretsManager();
  const { host, port, certificateAuthority } = database.address;
  const authority = join(folder, 'authority.pem');
  writeFileSync(authority, certificateAuthority);
  secretsManager.add(SECRET, { engine: database.address.engine, host, port, ...database.user });
  // As RDS makes it.
  secretsManager.add(ADMINISTRATOR, administrator);

  const written: string[] = [];
  const where = ['--port', String(port), '--certificate-authority', authority];
  const own: Record<string, string> = {
    ...COMPILE_CACHE,
    PATH: process.env.PATH ?? '',
    HOME: folder,
    AWS_ENDPOINT_URL: secretsManager.endpoint,
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
  };
  const execute = async (program: string, words: string[], environment: Record<string, string> = {}) => {
    const outcome = await new Promise<{ exitCode: number | null; stdout: string; stderr: string }>(
      (resolve) => {
        const child = execFile(
          program,
          words,
          {
            cwd: REPOSITORY,
            env: { ...own, ...environment },
          },
          (_, stdout, stderr) => resolve({ exitCode: child.exitCode, stdout, stderr }),
        );
      },
    );
    written.push(words.join(' '), outcome.stdout, outcome.stderr);
    return outcome;
  };
  const isPostgres = database.address.engine === 'postgres';
  const documented = (text: string, more: string[]) => {
    const command = text
      .replace(/ \\\n\s*--rotator rotator/, (argument) => (isPostgres ? argument : ''))
      .replace('npx wa-upkeep', `${process.execPath} bin/wa-upkeep.ts`)
      .replace('database.example.internal', host)
      .replace(/arn:\S+(TO-BE-ROTATED|ROTATED)/, SECRET)
      .replace(/arn:\S+ADMINISTRATOR/, ADMINISTRATOR);
    return execute('/bin/sh', ['-c', [command.trim(), ...where, ...more].join(' ')]);
  };
  return {
    database,
    administrator,
    where,
    written,
    run: (words: string[], environment?: Record<string, string>) =>
      execute(process.execPath, ['bin/migrate-to-alternating-users.ts', ...words], environment),
    /** With the names of this database in place of those of the document. */
    runDocumented: (...more: string[]) => documented(DOCUMENTED, more),
    tryOnTerminal: async () => {
      const whose = ['--host', host, '--secret', SECRET, '--administrator', ADMINISTRATOR];
      const rotator = isPostgres ? ['--rotator', 'rotator'] : [];
      const ended = await inTerminal(
        ['migrate-to-alternating-users', ...whose, ...rotator, ...where, '--dry-run'],
        own,
      );
      written.push(ended.shown);
      return ended;
    },
    runUndo: () => documented(DOCUMENTED_UNDO, []),
    stop: async ({ keepDatabase = false } = {}) => {
      await secretsManager.close();
      if (!keepDatabase) await database.stop();
      rmSync(folder, { recursive: true });
    },
  };
}
