import { LambdaClient } from '@aws-sdk/client-lambda';
import { Command, InvalidArgumentError } from 'commander';
import type { RunReport } from '../functions/shared/run/report.ts';
import { windowContaining } from '../functions/shared/run/window.ts';
import {
  ANSWER_FIGURE,
  LONGEST_COUNT_SECONDS,
  type UpgradeCheckOptions,
} from '../functions/upgrade-check/contract.ts';
import { awsTime, type DeployedUpkeep, deploymentNamed, refuseUnknownJob } from './deployments.ts';
import { answerText, EXIT_CODES, EXIT_CODES_HELP, giveUp, helpText, table } from './output.ts';
import { startAndFollow } from './run.ts';

const JOB = 'upgrade-check';

interface Options {
  prepare?: true;
  exactCount?: number;
  json?: true;
  region?: string;
}

/** What upgrade-check's report has in its details. */
interface Criterion {
  criterion: string;
  answer: string;
  what: string;
  where: string;
}

/** `wa-upkeep upgrade-check`: whether the client may be upgraded now, or what has to be done before. */
export function upgradeCheckCommand(): Command {
  return new Command(JOB)
    .summary('may the client be upgraded now?')
    .description(
      'Asks whether the client may be upgraded now: rows, last garbage collection, services, free space, each with its answer.',
    )
    .argument('<deployment>')
    .option('--prepare', 'have garbage collected, inside the downtime window, until it may')
    .option(
      '--exact-count <seconds>',
      'count the rows of each table one by one, each for so long at most',
      seconds,
    )
    .option('--json', 'the report alone, as JSON')
    .option('--region <name>', 'default: that of the environment')
    .addHelpText(
      'after',
      helpText(`
Examples:
  wa-upkeep upgrade-check shop
  wa-upkeep upgrade-check shop --prepare

Ctrl-C ends the watching, not the run. A problem is any answer but yes.
${EXIT_CODES_HELP}`),
    )
    .action(async (deployment: string, { prepare, exactCount, json, region }: Options) => {
      try {
        const lambda = new LambdaClient({ ...(region && { region }) });
        const upkeep = await deploymentNamed(lambda, deployment);
        refuseUnknownJob(upkeep, JOB);
        if (prepare) refuseOutsideWindow(lambda, upkeep);
        const options: UpgradeCheckOptions = {
          ...(prepare && { prepare }),
          ...(exactCount !== undefined && { exactCount: { timeLimitSeconds: exactCount } }),
        };
        const report = await startAndFollow(lambda, JOB, deployment, {
          options: { ...options },
          ...(json && { json }),
        });
        if (report === undefined) return;
        process.stdout.write(json ? `${JSON.stringify(report)}\n` : textOf(report));
        if (report.figures[ANSWER_FIGURE] !== 1) process.exitCode = EXIT_CODES.problem;
      } catch (error) {
        giveUp(error);
      }
    });
}

/** A run that prepares begins nothing there, and rings for it. @throws Error saying when the window is */
function refuseOutsideWindow(lambda: LambdaClient, { deployment, window, timeZone }: DeployedUpkeep): void {
  if (windowContaining(awsTime(lambda), window, timeZone)) return;
  throw new Error(
    `--prepare has garbage collected inside the downtime window of ${deployment} only, ${window.from}–${window.to} ${timeZone}: wait for it, or ask without --prepare.`,
  );
}

function textOf({ deployment, figures, problems, details }: RunReport): string {
  const criteria = (details?.criteria ?? []) as Criterion[];
  const lines = [answerOf(deployment, figures[ANSWER_FIGURE] === 1, details?.answer)];
  if (criteria.length > 0)
    lines.push(
      table(
        ['criterion', 'answer', 'where', 'what'],
        criteria.map((each) => [each.criterion, answerText(each.answer), each.where, each.what]),
      ),
    );
  const told = new Set(criteria.map(({ what }) => what));
  for (const { what, where, next } of problems)
    lines.push('', ...(told.has(what) ? [] : [what]), `  Where: ${where}`, `  Next: ${next}`);
  return `${lines.join('\n')}\n`;
}

/** A run that failed, or was skipped, has no answer: then it is unknown. */
function answerOf(deployment: string, may: boolean, answer: unknown): string {
  if (may) return `${deployment} may be upgraded now.`;
  return answer === 'no'
    ? `${deployment} may not be upgraded yet.`
    : `Whether ${deployment} may be upgraded is unknown, which is not yes.`;
}

function seconds(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > LONGEST_COUNT_SECONDS)
    throw new InvalidArgumentError(`It must be a whole number of seconds up to ${LONGEST_COUNT_SECONDS}.`);
  return value;
}
