import type { RunReport } from '../../functions/shared/run/report.ts';
import type { AnyFault } from '../faults/fault.ts';
import type { PlayedShop } from './shop.ts';

/** What must have come of the shop's night, as its containers, its database and its tasks tell. */
export async function shopMismatches(
  runs: readonly RunReport[],
  { credentials, readers, behind, accepts }: PlayedShop,
  faults: readonly AnyFault[],
): Promise<string[]> {
  const struck = faults.filter(({ deployment }) => deployment === 'shop').map(({ expected }) => expected);
  const mismatches: string[] = [];
  const expect = (what: string, came: unknown, wanted: unknown) => {
    if (came !== wanted) mismatches.push(`shop: ${what}: expected ${wanted}, came ${came}.`);
  };
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
  const figuresOf = (job: string) =>
    runs.find((run) => run.deployment === 'shop' && run.job === job)?.figures ?? {};
  if (struck.every(({ outcomes }) => !outcomes['credential-rotation'])) {
    const { rotations, tasksReplaced, oldPasswordHours } = figuresOf('credential-rotation');
    expect('passwords rotated', rotations, Object.keys(credentials).length);
    expect('tasks replaced for both passwords', tasksReplaced, readers.passwords);
    expect('hours in which an old password was valid', oldPasswordHours, 0);
  }
  if (struck.every(({ outcomes }) => !outcomes['reload-on-change'])) {
    const { servicesReloaded, tasksReplaced } = figuresOf('reload-on-change');
    expect('services reloaded', servicesReloaded, 3);
    expect('tasks replaced for new versions', tasksReplaced, readers.watched);
  }
  return mismatches;
}
