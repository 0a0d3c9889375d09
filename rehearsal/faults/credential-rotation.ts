import { keepCertificate } from '../certificates.ts';
import { startPgbouncer } from '../databases/pgbouncer.ts';
import { REPLICA } from '../upkeep.config.ts';
import { anyPassword } from '../whatsapp/client-database.ts';
import { type Fault, HOUR } from './fault.ts';

/** What goes wrong of the database's password and those who use it. */
export const CREDENTIAL_ROTATION_FAULTS: Record<string, Fault> = {
  'service-never-steady': {
    description: 'CoreApps with the new password exit at once, until the next day: then the rotation goes on',
    deployment: 'emea',
    containers: true,
    rotation: true,
    strike({ containers }, { clock }) {
      const { coreapp } = containers?.services ?? {};
      if (!coreapp) return;
      coreapp.fault = 'tasks-exit';
      clock.at(clock.now() + 18 * HOUR, () => {
        coreapp.fault = undefined;
      });
    },
    expected: {
      outcomes: { 'credential-rotation': ['failed', 'succeeded'] },
      alarms: ['emea-credential-rotation-stopped-coreapp'],
    },
    lasts: 36 * HOUR,
  },
  'password-copy-overwritten': {
    description: "An update of the client's stack writes the old password back into its parameter",
    deployment: 'apac',
    containers: true,
    rotation: true,
    strike({ credential }, { clock }) {
      // Between the rotation, at the latest at 22:30 UTC, and database-size at 00:15.
      clock.at(Date.parse('2026-11-24T23:45:00Z'), () => {
        const old = credential?.login('AWSPREVIOUS');
        if (old) credential?.writeCopies(old);
      });
    },
    // The daily comparison tells it, the next rotation's preflight puts it right, and tells nobody once more.
    expected: {
      outcomes: {
        'credential-rotation': ['succeeded', 'partial'],
        'database-size': ['partial', 'succeeded'],
      },
      alarms: ['apac-database-size-password-copies'],
    },
    lasts: 36 * HOUR,
  },
  'second-password-by-hand': {
    description: 'Somebody gives the user a second password by hand, for a program that a person looks after',
    deployment: 'apac',
    containers: true,
    rotation: true,
    strike({ credential, database }, { clock, secrets }) {
      // When the night's rotation is over.
      clock.at(Date.parse('2026-11-24T23:45:00Z'), async () => {
        const username = credential?.login()?.username;
        const second = anyPassword();
        secrets.push(second);
        await database.administer('ALTER USER ? IDENTIFIED BY ? RETAIN CURRENT PASSWORD', [username, second]);
      });
    },
    // It is told once and left, for no rotation is due.
    expected: {
      outcomes: { 'credential-rotation': ['succeeded', 'partial'] },
      alarms: ['apac-credential-rotation-partial'],
    },
    lasts: 36 * HOUR,
  },
  'database-read-only': {
    description:
      'The database is a replica when its password is to be changed, as after a failover that went wrong',
    deployment: 'apac',
    containers: true,
    rotation: true,
    async strike({ database }, { clock }) {
      await database.administer('SET GLOBAL super_read_only = ON');
      clock.at(clock.now() + 10 * HOUR, () => database.administer('SET GLOBAL read_only = OFF'));
    },
    expected: {
      outcomes: { 'credential-rotation': ['failed'] },
      alarms: ['apac-rotate-secret-failed'],
    },
  },
  'database-away': {
    description: "The functions' way to the database is closed; the containers' is not",
    deployment: 'emea',
    containers: true,
    rotation: true,
    strike(_target, { aws, clock }) {
      // After the rotation function was tested, as at its deployment.
      clock.at(clock.now() + HOUR, () => {
        aws.hosts['database.emea.internal:5432'] = '127.0.0.1:9';
      });
    },
    expected: {
      outcomes: { 'credential-rotation': ['failed'], 'database-size': ['failed'] },
      alarms: ['emea-credential-rotation-failed', 'emea-database-size-failed'],
      severalMessages:
        'Two jobs, hours apart: neither can know that what is in its way was in the way of the other, and is still.',
    },
  },
  'logins-not-shown': {
    description: 'The administrator may not see who logs in, at the first rotation: the old password is kept',
    deployment: 'emea',
    containers: true,
    rotation: true,
    strike: ({ database }) => database.administer('REVOKE pg_read_all_stats FROM whatsapp_rotator'),
    expected: {
      outcomes: { 'credential-rotation': ['partial'] },
      alarms: ['emea-credential-rotation-partial'],
      bothPasswords: true,
      problems: [/GRANT pg_read_all_stats TO "whatsapp_rotator"/],
    },
  },
  'pooler-before-database': {
    description:
      "The functions' way to the database leads through pgbouncer in transaction mode, behind which no lock holds",
    deployment: 'emea',
    containers: true,
    rotation: true,
    async strike({ database }, { aws, atEnd }) {
      const { host } = REPLICA;
      const { certificate, key } = await keepCertificate(host, host);
      const logins = aws.secrets.everyValue().flatMap((value) => {
        const { username, password } = JSON.parse(value);
        return username && password ? [{ username, password }] : [];
      });
      const pooler = await startPgbouncer(database, 'transaction', logins, {
        authority: certificate,
        certificate,
        key,
      });
      atEnd(pooler.stop);
      aws.hosts[`${host}:5432`] = `127.0.0.1:${pooler.address.port}`;
    },
    // Counting goes through it.
    expected: {
      outcomes: { 'credential-rotation': ['failed'] },
      alarms: ['emea-credential-rotation-failed'],
      problems: [/a pooler such as pgbouncer .* Configure the address of the server itself/],
    },
  },
  'old-user-on-replica': {
    description:
      'A program has a session of the old user on the read replica all night: that user is not closed',
    deployment: 'emea',
    containers: true,
    rotation: true,
    replica: true,
    async strike({ credential, database }, { aws, atEnd }) {
      const { host, port } = REPLICA;
      const replica = await database.startReplica?.(await keepCertificate(host, host));
      const old = credential?.login();
      if (!replica || !old) return;
      atEnd(replica.stop);
      aws.hosts[`${host}:${port}`] = `127.0.0.1:${replica.port}`;
      atEnd(await replica.logIn(old));
    },
    expected: {
      outcomes: { 'credential-rotation': ['partial'] },
      alarms: ['emea-credential-rotation-partial'],
      bothPasswords: true,
      problems: [/The replica \S+ has 1 sessions of whatsapp_a/],
    },
  },
};
