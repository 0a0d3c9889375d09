import { existsSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isInstalled } from './own-package.ts';
import type { Surroundings } from './surroundings.ts';

const APP = 'app.mts';

/**
 * Sees to an app that makes the stacks of a configuration: a clone has one; where the package is installed it is written beside
 * the configuration, unless there is another one already.
 * @returns the command that synthesizes it
 */
export function appOfConfiguration(around: Surroundings, file: string, folder: string): string {
  if (!isInstalled()) return `npx cdk synth -c config=${file}`;
  const there = folder === process.cwd() ? '' : `cd ${folder} && `;
  const name = basename(file);
  const settings = join(folder, 'cdk.json');
  if (existsSync(settings) || existsSync(join(folder, APP))) {
    around.note(
      'to do',
      `Have the app of this folder make the stacks, unless it does so already:\nimport { loadConfiguration, makeUpkeepStacks } from 'wa-upkeep';\nmakeUpkeepStacks(app, await loadConfiguration('${name}'));`,
    );
    return `${there}npx cdk synth`;
  }
  writeFileSync(
    join(folder, APP),
    `import { App } from 'aws-cdk-lib';
import { loadConfiguration, makeUpkeepStacks } from 'wa-upkeep';

makeUpkeepStacks(new App(), await loadConfiguration('${name}'));
`,
  );
  writeFileSync(settings, `${JSON.stringify({ app: `node ${APP}`, output: 'cdk.out' }, undefined, 2)}\n`);
  around.note('taken', `${APP} and cdk.json are written beside it: the app that makes its stacks.`);
  return `${there}npx cdk synth`;
}
