import type { RunReport } from '../../functions/shared/run/report.ts';
import type { AnyFault, Expectation } from '../faults/fault.ts';
import { CLOSE_CARTS, REINDEX } from './names.ts';
import type { PlayedReaders } from './readers.ts';
import type { PlayedShop } from './shop.ts';

/** What must have come of the shop's night, as its containers, its database and its tasks tell. */
export async function shopMismatches(
  runs: readonly RunReport[],
  { catalogue, readers }: PlayedShop,
  faults: readonly AnyFault[],
): Promise<string[]> {
  const struck = faults.filter(({ deployment }) => deployment === 'shop').map(({ expected }) => expected);
  const mismatches: string[] = [];
  const expect: Expect = (what, came, wanted) => {
    if (came !== wanted) mismatches.push(`shop: ${what}: expected ${wanted}, came ${came}.`);
  };
  const own = runs.filter(({ deployment }) => deployment === 'shop');
  // Each once in each run that succeeded, wherever that was, with all that the command is given.
  for (const [job, file, given] of [
    [REINDEX, 'reindexed', '--batch 500 5s'],
    [CLOSE_CARTS, 'closed', '--idle 14 days 5s'],
  ] as const) {
    const done = own.filter((run) => run.job === job && run.outcome === 'succeeded');
    expect(
      `what ${job} has left in its containers`,
      catalogue.lines(file).join(),
      done.flatMap(() => ['toys', 'books'].map((shelf) => `${shelf} ${given}`)).join(),
    );
  }
  if (readers) await readersMismatches(own, readers, struck, mismatches, expect);
  return mismatches;
}

type Expect = (what: string, came: unknown, wanted: unknown) => void;

async function readersMismatches(
  runs: readonly RunReport[],
  { credentials, reading, behind, accepts }: PlayedReaders,
  struck: readonly Expectation[],
  mismatches: string[],
  expect: Expect,
): Promise<void> {
  const kept = new Set<string>(struck.flatMap(({ oldPasswords = [] }) => oldPasswords));
  for (const [name, { login, logins }] of Object.entries(credentials)) {
    const [current, old] = [login('AWSCURRENT'), login('AWSPREVIOUS')];
    expect(`${name}: the current password logs in`, current && (await accepts(current)), true);
    expect(`${name}: the old password logs in`, old && (await accepts(old)), kept.has(name));
    for (const failure of logins.failures)
      mismatches.push(`shop: ${name}: a container could not log in: ${failure}`);
    if (logins.count.made < 2 * logins.containers)
      mismatches.push(`shop: ${name}: ${logins.containers} containers logged in ${logins.count.made} times.`);
  }
  expect(
    'services whose tasks lack a version in use',
    behind().join(),
    struck.flatMap(({ behind = [] }) => behind).join(),
  );
  const figuresOf = (job: string) => runs.find((run) => run.job === job)?.figures ?? {};
  if (struck.every(({ outcomes }) => !outcomes['credential-rotation'])) {
    const { rotations, tasksReplaced, oldPasswordHours } = figuresOf('credential-rotation');
    expect('passwords rotated', rotations, Object.keys(credentials).length);
    expect('tasks replaced for both passwords', tasksReplaced, reading.passwords);
    expect('hours in which an old password was valid', oldPasswordHours, 0);
  }
  if (struck.every(({ outcomes }) => !outcomes['reload-on-change'])) {
    const { servicesReloaded, tasksReplaced } = figuresOf('reload-on-change');
    expect('services reloaded', servicesReloaded, 3);
    expect('tasks replaced for new versions', tasksReplaced, reading.watched);
  }
}
