/**
 * What a rotation costs: calls of Secrets Manager, connections to the database, refused logins among them, and
 * statements, as the database's own log counts them, beside the counts of AWS's published rotation functions. And what
 * the retirement of the old password costs, which AWS's functions leave out.
 *
 * Run: node bench/rotation-calls.ts
 */
import type { RotateSecretSettings } from '../functions/rotate-secret/contract.ts';
import { rotateSecret } from '../functions/rotate-secret/rotate-secret.ts';
import type { Strategy } from '../functions/shared/database/contract/rotation.ts';
import { administratorOf } from '../functions/shared/database/credential/settings.ts';
import { secretState } from '../functions/shared/database/credential/stored-secret.ts';
import { credentialRotation } from '../functions/shared/database/registry.ts';
import { ServerUnavailable } from '../rehearsal/databases/server-program.ts';
import {
  type Counts as DatabaseCounts,
  mariadbDatabase,
  mysqlDatabase,
  postgresDatabase,
  type TestDatabase,
} from '../test/functions/rotate-secret/databases.ts';
import { startSecretsManager } from '../test/functions/rotate-secret/secrets-manager.ts';
import { stepEvents } from '../test/functions/rotate-secret/steps.ts';
import { tell } from './figures.ts';

interface Counts extends DatabaseCounts {
  calls: number;
}

interface Contest {
  engine: string;
  strategy: Strategy;
  start: (strategy: Strategy) => Promise<TestDatabase>;
  /** AWS's function for the same engine and number of users. */
  rival: { name: string; counts: Counts; note?: string };
}

/**
 * Of aws-secrets-manager-rotation-lambdas at commit b4b8eca, each run whole against a real server with a counting
 * stub of Secrets Manager (MySQL's after mending what fails on 9.x).
 */
const CONTESTS: Contest[] = [
  {
    engine: 'MySQL',
    strategy: { kind: 'dual-password' },
    start: mysqlDatabase,
    rival: { name: 'MySQL single user', counts: { calls: 14, connections: 3, refused: 1, statements: 3 } },
  },
  {
    engine: 'MySQL',
    strategy: { kind: 'alternating-users' },
    start: mysqlDatabase,
    rival: {
      name: 'MySQL multi user',
      counts: { calls: 14, connections: 4, refused: 1, statements: 7 },
      note: 'and one for each grant',
    },
  },
  {
    engine: 'MariaDB',
    strategy: { kind: 'dual-password' },
    start: mariadbDatabase,
    rival: { name: 'MariaDB single user', counts: { calls: 14, connections: 3, refused: 1, statements: 2 } },
  },
  {
    engine: 'MariaDB',
    strategy: { kind: 'alternating-users' },
    start: mariadbDatabase,
    rival: {
      name: 'MariaDB multi user',
      counts: { calls: 14, connections: 4, refused: 1, statements: 4 },
      note: 'and one for each grant',
    },
  },
  {
    engine: 'PostgreSQL',
    strategy: { kind: 'single-password', user: 'wa' },
    start: postgresDatabase,
    rival: {
      name: 'PostgreSQL single user',
      counts: { calls: 14, connections: 3, refused: 1, statements: 3 },
    },
  },
  {
    engine: 'PostgreSQL',
    strategy: { kind: 'alternating-users', users: ['wa', 'wa_clone'] },
    start: postgresDatabase,
    rival: {
      name: 'PostgreSQL multi user',
      counts: { calls: 14, connections: 4, refused: 1, statements: 5 },
    },
  },
];

const SECRET_ARN = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:wa-db-AbCdEf';
const ADMIN_ARN = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:admin-AbCdEf';

async function measure({ strategy, start }: Contest): Promise<{ rotation: Counts; retirement: Counts }> {
  const database = await start(strategy);
  const secretsManager = await startSecretsManager();
  try {
    const { engine, host, port } = database.address;
    const versions = secretsManager.add(SECRET_ARN, { engine, host, port, ...database.user });
    secretsManager.add(ADMIN_ARN, database.rotator);
    const settings: RotateSecretSettings = {
      deployment: 'bench',
      secretArn: SECRET_ARN,
      adminSecretArn: ADMIN_ARN,
      database: database.address,
      strategy,
    };
    const client = secretsManager.client;
    const parts = { settings, secretsManager: client, lambda: secretsManager.lambda };

    const counting = async (work: () => Promise<unknown>): Promise<Counts> => {
      const calls = secretsManager.calls.length;
      const before = await database.counts();
      await work();
      const after = await database.counts();
      return {
        calls: secretsManager.calls.length - calls,
        connections: after.connections - before.connections,
        refused: after.refused - before.refused,
        statements: after.statements - before.statements,
      };
    };

    const token = versions.beginRotation();
    const rotation = await counting(async () => {
      for (const event of stepEvents(SECRET_ARN, token)) await rotateSecret(parts, event);
    });
    const retirement = await counting(async () => {
      const { current } = await secretState(client, SECRET_ARN);
      const { retire } = await credentialRotation(settings.database, strategy);
      await retire({
        admin: (await administratorOf(settings, client, current)) ?? current,
        username: current.username,
        read: () => secretState(client, SECRET_ARN),
      });
    });
    return { rotation, retirement };
  } finally {
    await secretsManager.close();
    await database.stop();
  }
}

const COLUMNS = ['calls', 'connections', 'refused', 'statements'] as const;

function row(label: string, counts: Counts, note = ''): string {
  return `${label.padEnd(46)}${COLUMNS.map((column) => String(counts[column]).padStart(13)).join('')}  ${note}`;
}

console.log(`${''.padEnd(46)}${COLUMNS.map((column) => column.padStart(13)).join('')}`);
for (const contest of CONTESTS) {
  const { engine, strategy, rival } = contest;
  try {
    const { rotation, retirement } = await measure(contest);
    for (const column of COLUMNS)
      tell({
        bench: 'rotation-calls',
        what: `${engine} ${strategy.kind}: ${column} of a rotation`,
        rival: `AWS's ${rival.name}: ${rival.counts[column]}`,
        value: rotation[column],
        unit: column,
      });
    console.log(row(`${engine} ${strategy.kind}: rotation`, rotation));
    console.log(row('  retirement of the old password', retirement));
  } catch (error) {
    if (!(error instanceof ServerUnavailable)) throw error;
    console.log(`${engine} ${strategy.kind}: not measured. ${error.message}`);
  }
  console.log(row(`  AWS's ${rival.name}: rotation`, rival.counts, rival.note));
}
