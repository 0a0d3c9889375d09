/** `wa-upkeep rehearse`: plays the stacks of a CDK app on this machine. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { DESCRIPTION_FILE, readDescription } from './stacks/description.ts';
import { type Played, playStacks } from './stacks/play.ts';

const HELP = `Plays the stacks of a CDK app on this machine: a day by their schedules, their functions as they go to Lambda, each under its own
role, in a stand-in for AWS; their services' containers as processes, their databases as real servers. Nothing is deployed.

Examples:
  npx wa-upkeep rehearse --app "npx tsx bin/shop.ts"
  npx wa-upkeep rehearse -o cdk.out

  --app COMMAND          synthesizes the app, as that of cdk.json does
  -o, --output FOLDER    plays what was synthesized into it
  --describe FILE        what stands in the containers. Default: ${DESCRIPTION_FILE}, if it is there
  --from TIME            such as 2027-01-10T18:00:00Z. Default: now
  --hours NUMBER         how long. Default: 24
  --json FILE            also writes all of it to FILE
  --help

The description is JSON, and each of its fields may be left out:

  { "containers": { "app": { "command": "/srv/server", "folders": { "/srv": "test/app" } } },
    "tasks": { "storefront": 3 }, "secrets": { "ARN": { "username": "…" } } }

A container is a plain sleeping process unless it has a command; folders are copied into it.

Exit codes: 0 no run failed or left something undone, and nothing was denied; 1 not so; 2 the command was not understood, or nothing could be played.`;

/** No colours, so that a log of it reads well too. */
const STYLE = { head: [], border: [] };

try {
  process.exitCode = await rehearse();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}

async function rehearse(): Promise<number> {
  const { values } = parseArgs({
    options: {
      app: { type: 'string' },
      output: { type: 'string', short: 'o' },
      describe: { type: 'string' },
      from: { type: 'string' },
      hours: { type: 'string', default: '24' },
      json: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const { app, output, from, json } = values;
  if ((app === undefined) === (output === undefined))
    throw new Error(
      'Say either --app, the command that synthesizes, or --output, the folder of what was synthesized. See --help.',
    );
  const hours = Number(values.hours);
  if (!(hours > 0 && hours <= 24 * 31))
    throw new Error(`--hours must be a number up to ${24 * 31}, not ${values.hours}.`);
  const start = from === undefined ? Date.now() : Date.parse(from);
  if (Number.isNaN(start))
    throw new Error(`--from must be a time such as 2027-01-10T18:00:00Z, not ${from}.`);
  const description = readDescription(values.describe);
  const made = app === undefined ? undefined : mkdtempSync(join(tmpdir(), 'cdk.out-'));
  try {
    const cdkOut = output ?? made ?? '';
    if (app !== undefined) synthesize(app, cdkOut);
    if (!existsSync(join(cdkOut, 'manifest.json')))
      throw new Error(
        `${cdkOut} holds nothing that was synthesized: ${app === undefined ? 'cdk synth writes into cdk.out, unless --output names another folder' : `"${app}" must write to the folder that CDK_OUTDIR names, as new App() does`}.`,
      );
    console.log(`· Playing ${hours} hours from ${new Date(start).toISOString()} …`);
    const played = await playStacks({ cdkOut, description, start, hours, onEvent });
    if (json) writeFileSync(json, `${JSON.stringify(played, undefined, 2)}\n`);
    show(played);
    return played.runs.every(isGood) && played.denied.length === 0 ? 0 : 1;
  } finally {
    if (made) rmSync(made, { recursive: true, force: true });
  }
}

/** A skipped one was not to be, such as a second rotation beside the first. */
function isGood({ outcome }: Played['runs'][number]): boolean {
  return outcome === 'succeeded' || outcome === 'skipped';
}

/** As the CDK's command line runs an app. */
function synthesize(app: string, cdkOut: string): void {
  console.log(`· Synthesizing by ${app} …`);
  const { status } = spawnSync(app, {
    shell: true,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, CDK_OUTDIR: cdkOut },
  });
  if (status !== 0) throw new Error(`"${app}" ended with ${status ?? 'a signal'}: see its output above.`);
}

function onEvent(at: number, what: string): void {
  console.log(`  ${new Date(at).toISOString().slice(5, 16).replace('T', ' ')} UTC  ${what}`);
}

function show({ runs, alarms, denied, logins, notes }: Played): void {
  const table = new Table({
    head: ['deployment', 'job', 'outcome', 'started (UTC)', 'minutes', 'figures'],
    style: STYLE,
  });
  for (const { deployment, job, outcome, startedAt, endedAt, figures } of runs)
    table.push([
      deployment,
      job,
      outcome,
      startedAt.slice(0, 16).replace('T', ' '),
      Math.round((Date.parse(endedAt) - Date.parse(startedAt)) / 60_000),
      Object.entries(figures)
        .map(([name, figure]) => `${name} ${figure}`)
        .join('\n'),
    ]);
  console.log(runs.length > 0 ? `\n${table.toString()}` : '\nNo run was due.');
  for (const { deployment, problems } of runs)
    for (const { what, where, next } of problems)
      console.log(`\n${deployment}: ${what}\n  Where: ${where}\n  Next:  ${next}`);
  if (logins.made > 0)
    console.log(`\nLogins of the containers to their databases: ${logins.made}, failed: ${logins.failed}.`);
  if (alarms.length === 0) console.log('\nNo alarm rang.');
  for (const { alarm, time } of alarms)
    console.log(`\nThe alarm ${alarm} rang at ${new Date(time).toISOString()}.`);
  if (denied.length === 0) console.log('\nNothing was denied.');
  for (const denial of denied) console.log(`\nDenied: ${denial}`);
  for (const note of notes) console.log(`\nIn place of your own: ${note}`);
}
