import { chmodSync, copyFileSync, existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bestIsolation, Container } from '../../../../rehearsal/aws/containers/container.ts';
import { busybox, findProgram, NO_BUSYBOX } from './busybox.ts';

/** Shells that are `sh` in fewer images, under the path that they have in the container. */
const OTHERS = [
  { name: 'mksh', program: await findProgram('mksh', 'mksh'), shell: ['/usr/local/bin/mksh'] },
  { name: 'ksh93', program: await findProgram('ksh93', 'ksh93u+m'), shell: ['/usr/local/bin/ksh93'] },
  {
    name: 'zsh as sh',
    program: await findProgram('zsh', 'zsh'),
    shell: ['/usr/local/bin/zsh', '--emulate', 'sh'],
  },
];

/** Shells that the wrapper must run in, started by their own paths so that none needs a search path. */
export const SHELLS: { name: string; shell: string[]; skip: string | false }[] = [
  { name: 'bash', shell: ['/bin/bash'], skip: !existsSync('/bin/bash') && 'there is no /bin/bash here' },
  { name: 'dash', shell: ['/bin/dash'], skip: !existsSync('/bin/dash') && 'there is no /bin/dash here' },
  {
    name: 'busybox ash',
    shell: ['/usr/local/bin/busybox', 'ash'],
    skip: busybox === undefined && NO_BUSYBOX,
  },
  ...OTHERS.map(({ name, program, shell }) => ({
    name,
    shell,
    skip: program === undefined && `this machine has no ${name}, and no apt to fetch it with`,
  })),
];

/** A container that has them all. */
export async function containerWithShells(): Promise<Container> {
  const folder = mkdtempSync(join(tmpdir(), 'upkeep-wrapper-'));
  const container = await Container.start({ name: 'shell', folder, isolation: bestIsolation() });
  if (busybox !== undefined) {
    copyFileSync(busybox, container.path('/usr/local/bin/busybox'));
    chmodSync(container.path('/usr/local/bin/busybox'), 0o755);
  }
  for (const { program: other, shell: [path = ''] = [] } of OTHERS) {
    if (other === undefined) continue;
    copyFileSync(other, container.path(path));
    chmodSync(container.path(path), 0o755);
  }
  return container;
}
