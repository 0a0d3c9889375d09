import { styleText } from 'node:util';
import { Command } from 'commander';
import { allDeployments, deploymentNamed } from './deployments.ts';
import { type Diagnosis, examine } from './doctor/examine.ts';
import { clientsIn, ExaminedDeployment } from './doctor/examined-deployment.ts';
import { EXIT_CODES, EXIT_CODES_HELP, giveUp } from './output.ts';

/** `wa-upkeep doctor`: what is wrong with a deployment and its surroundings, each with what mends it. */
export function doctorCommand(): Command {
  return new Command('doctor')
    .summary('look for what would stop the upkeep, and say what mends it')
    .argument('[deployments...]', 'default: all of the account and region')
    .option('--json', 'every finding, as JSON')
    .option('--quiet', 'only what is not ok')
    .option('--region <name>', 'default: that of the environment')
    .addHelpText(
      'after',
      `
Each line: ok, warning, failed or could not look (with the IAM action that is missing), what was looked at, what was seen; below it the
command or the lines of the configuration that mend it. A problem: any line that is not ok.
${EXIT_CODES_HELP}`,
    )
    .action(
      async (names: string[], { json, quiet, region }: { json?: true; quiet?: true; region?: string }) => {
        try {
          const clients = clientsIn(region);
          const deployments = await (names.length > 0
            ? Promise.all(names.map((name) => deploymentNamed(clients.lambda, name)))
            : allDeployments(clients.lambda));
          if (deployments.length === 0)
            throw new Error(
              `There is no deployment in ${await clients.lambda.config.region()}: is it the right account and region (--region, AWS_PROFILE)?`,
            );
          const found: Diagnosis[] = [];
          for (const upkeep of deployments) {
            const diagnoses = await examine(new ExaminedDeployment(upkeep, clients));
            found.push(...diagnoses);
            if (!json) process.stdout.write(textOf(upkeep.deployment, diagnoses, quiet === true));
          }
          if (json) process.stdout.write(`${JSON.stringify(found, undefined, 2)}\n`);
          if (found.some(({ status }) => status !== 'ok')) process.exitCode = EXIT_CODES.problem;
        } catch (error) {
          giveUp(error);
        }
      },
    );
}

const COLOURS = { ok: 'green', warning: 'yellow', failed: 'red', 'could not look': 'yellow' } as const;
const STATUSES = Object.keys(COLOURS) as Diagnosis['status'][];
const LONGEST_STATUS = Math.max(...STATUSES.map((status) => status.length));

/** Findings are sentences: in the columns of a table they would be cut or wrapped. */
function textOf(deployment: string, diagnoses: Diagnosis[], quiet: boolean): string {
  const shown = quiet ? diagnoses.filter(({ status }) => status !== 'ok') : diagnoses;
  const counts = STATUSES.map((status) => ({
    status,
    count: diagnoses.filter((each) => each.status === status).length,
  })).filter(({ count }) => count > 0);
  const lines = [
    `${deployment}: ${counts.map(({ status, count }) => `${count} ${status}`).join(', ')}`,
    ...shown.flatMap(linesOf),
  ];
  return `${lines.join('\n')}\n`;
}

function linesOf(diagnosis: Diagnosis): string[] {
  const { status, check, of, saw } = diagnosis;
  const padded = styleText(COLOURS[status], status.padEnd(LONGEST_STATUS), { stream: process.stdout });
  const then =
    'mend' in diagnosis
      ? diagnosis.mend.split('\n')
      : 'missing' in diagnosis
        ? [`You need ${diagnosis.missing}: docs/command-line.md lists what doctor asks.`]
        : [];
  return [
    `  ${padded}  ${check}${of === undefined ? '' : `, ${of}`}: ${saw}`,
    ...then.map((line) => `  ${' '.repeat(LONGEST_STATUS)}    ${line}`),
  ];
}
