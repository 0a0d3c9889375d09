import { styleText } from 'node:util';
import { Command, InvalidArgumentError } from 'commander';
import { deploymentsNamed } from './deployments.ts';
import { deploymentsToBe } from './doctor/before-deploy/deployments-to-be.ts';
import { CHECKS, CHECKS_WITH_SECRETS } from './doctor/checks.ts';
import { type Diagnosis, examine } from './doctor/examine.ts';
import { clientsIn, ExaminedDeployment } from './doctor/examined-deployment.ts';
import { permissionChecks } from './doctor/permissions/permissions.ts';
import { EXIT_CODES, EXIT_CODES_HELP, giveUp, helpText, isAgreed, messageOf } from './output.ts';

interface Options {
  json?: true;
  quiet?: true;
  fix?: true;
  yes?: true;
  region?: string;
  /** The role's ARN, where one was given. */
  permissions?: string | true;
  beforeDeploy?: true;
  cdkOut: string;
  readSecrets?: true;
}

/** `wa-upkeep doctor`: what is wrong with a deployment and its surroundings, each with what mends it. */
export function doctorCommand(): Command {
  return new Command('doctor')
    .summary('look for what would stop the upkeep, and say what mends it')
    .argument('[deployments...]', 'default: all of the account and region')
    .option('--permissions [role]', 'only what AWS alone can answer of the permissions', roleArn)
    .option('--before-deploy', 'look at what `cdk synth` wrote, before it is deployed')
    .option('--cdk-out <folder>', 'with --before-deploy: where it wrote it', 'cdk.out')
    .option('--read-secrets', 'with --before-deploy: look for the fields in the values of the secrets too')
    .option('--json', 'every finding, as JSON')
    .option('--quiet', 'only what is not ok')
    .option('--fix', 'ask of each mend that is safe whether to do it, and do it')
    .option('--yes', 'with --fix: do them all, without asking')
    .option('--region <name>', 'default: that of the environment')
    .addHelpText(
      'after',
      helpText(`
Examples:
  wa-upkeep doctor
  wa-upkeep doctor shop --quiet --fix
  wa-upkeep doctor --before-deploy --cdk-out cdk.out

Each line: ok, warning, failed or could not look (with the IAM action that is missing), what was looked at, what was seen; below it the
command or the lines of the configuration that mend it. A problem: any line that is not ok. With --fix it was one too: ask
again whether it is mended.

--before-deploy asks what must be true before \`cdk deploy\`: npx cdk synth first. Deployments of other accounts than that of the credentials
are looked at if they are named, and then refused; each is looked at in its own region.

--permissions asks CloudTrail what AWS refused, and by a role's ARN tries what no document of AWS says, in sessions of that role that may
do next to nothing: docs/command-line.md says what it needs, docs/security.md what hangs on each answer.
${EXIT_CODES_HELP}`),
    )
    .action(async (names: string[], options: Options) => {
      const { json, quiet, region, permissions, fix, yes, beforeDeploy } = options;
      try {
        if (beforeDeploy && permissions !== undefined)
          throw new Error('--permissions asks of what is deployed: not with --before-deploy.');
        if (fix && !yes && !process.stdin.isTTY)
          throw new Error('There is no terminal to ask on: --fix needs one, or --yes.');
        const checks =
          permissions !== undefined
            ? permissionChecks(permissions === true ? undefined : permissions)
            : options.readSecrets
              ? CHECKS_WITH_SECRETS
              : CHECKS;
        const deployments = beforeDeploy
          ? await deploymentsToBe(options.cdkOut, names, region)
          : await deploymentsThere(names, region);
        const found: Diagnosis[] = [];
        for (const deployment of deployments) {
          const diagnoses = await examine(deployment, checks);
          found.push(...diagnoses);
          if (!json) process.stdout.write(textOf(deployment.name, diagnoses, quiet === true));
          if (fix) for (const each of diagnoses) await mend(each, yes === true);
        }
        if (json) process.stdout.write(`${JSON.stringify(found, undefined, 2)}\n`);
        if (found.some(({ status }) => status !== 'ok')) process.exitCode = EXIT_CODES.problem;
      } catch (error) {
        giveUp(error);
      }
    });
}

async function deploymentsThere(names: string[], region: string | undefined): Promise<ExaminedDeployment[]> {
  const clients = clientsIn(region);
  const deployments = await deploymentsNamed(clients.lambda, names);
  return deployments.map((upkeep) => new ExaminedDeployment(upkeep, clients));
}

/** Says on standard error what it does, so that standard output stays what it is without. */
async function mend(diagnosis: Diagnosis, unasked: boolean): Promise<void> {
  if (!('fix' in diagnosis) || diagnosis.fix === undefined) return;
  const { check, of, fix, mend: command } = diagnosis;
  const what = `${check}${of === undefined ? '' : `, ${of}`}`;
  if (!unasked && !(await isAgreed(`${what}\n  ${command}\nDo this?`))) return;
  try {
    await fix();
    process.stderr.write(`Done: ${what}.\n`);
  } catch (error) {
    process.stderr.write(`Not done: ${what}: ${messageOf(error)}\n`);
  }
}

function roleArn(text: string): string {
  if (!/^arn:[^:]+:iam::\d{12}:role\/./.test(text))
    throw new InvalidArgumentError('It must be the ARN of a role. Deployments come before it.');
  return text;
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
