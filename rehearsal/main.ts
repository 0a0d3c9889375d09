import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { FAULTS } from './faults/faults.ts';
import { playNight } from './night.ts';
import type { Night } from './night-checks.ts';
import { nightPage } from './picture/page.ts';
import { type Recording, record } from './picture/recording.ts';
import { synthesizeShop } from './shop/synthesize.ts';
import { startStage } from './start-stage.ts';
import { printEvent, say } from './tell.ts';

/** No colours, so that a log of it reads well too. */
const PLAIN = { head: [], border: [] };

/** Written anew by each night. */
const PAGE = 'night.html';

const USAGE = `npm start plays a night of upkeep on this machine, through what cdk synth made, and draws it in ${PAGE}.

  npm start                          a good night
  npm start -- --fault NAME          a night in which something goes wrong
  npm start -- --list-faults         what can go wrong
  npm start -- --json FILE           also writes the run reports to FILE`;

const { values } = parseArgs({
  options: {
    fault: { type: 'string' },
    'list-faults': { type: 'boolean' },
    json: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  },
});

if (values.help) console.log(USAGE);
else if (values['list-faults']) listFaults();
else await rehearse(values.fault, values.json);

function listFaults(): void {
  const table = new Table({
    head: ['fault', 'what goes wrong', 'alarms that must ring, each with a message'],
    style: PLAIN,
  });
  for (const [name, { description, expected }] of Object.entries(FAULTS))
    table.push([name, description, expected.alarms.join('\n') || 'none']);
  console.log(table.toString());
}

async function rehearse(faultName: string | undefined, json: string | undefined): Promise<void> {
  const fault = faultName === undefined ? undefined : FAULTS[faultName];
  if (faultName !== undefined && !fault) {
    console.error(`There is no fault "${faultName}". npm start -- --list-faults names them all.`);
    process.exitCode = 2;
    return;
  }
  const unavailable = fault?.unavailable?.();
  if (unavailable !== undefined) {
    console.error(`The fault "${faultName}" cannot be had here. ${unavailable}`);
    process.exitCode = 2;
    return;
  }
  const engine = fault?.engine ?? 'mysql';
  say(
    `Synthesizing the stacks of the sample configuration, and starting PostgreSQL and ${engine === 'mysql' ? 'MySQL' : 'MariaDB'}`,
  );
  const [stage, shop] = await Promise.all([
    startStage({ engine, streams: fault?.replica ?? false }),
    synthesizeShop(),
  ]);
  if (stage.withoutMysql)
    console.log(`${stage.withoutMysql} The night is played without the deployment on MySQL.`);
  try {
    say(fault ? `Playing a night in which this goes wrong: ${fault.description}` : 'Playing a good night');
    let end: ((night: Night) => Recording) | undefined;
    let recording: Recording | undefined;
    const night = await playNight({
      ...stage,
      shop,
      onEvent: printEvent,
      onBegin(world) {
        end = record(world);
      },
      onEnd(_world, night) {
        recording = end?.(night);
      },
      ...(fault && { faults: [fault] }),
    });
    if (recording)
      writeFileSync(PAGE, await nightPage({ night, recording, faults: fault ? [fault.description] : [] }));
    if (json) writeFileSync(json, `${JSON.stringify(night, undefined, 2)}\n`);
    conclude(night);
    console.log(`The night as a picture: ${PAGE}`);
  } finally {
    await stage.close();
  }
}

/** What SQL counts at the end, beside what the job's report says. */
function leftOf(job: string, rows: Night['rows'][string] | undefined): string {
  if (job === 'message-gc') return `${rows?.garbageAfter} garbage`;
  if (job === 'media-gc') return `${rows?.left.media} media`;
  if (job === 'database-size') return `${rows?.left.messages} messages`;
  return '';
}

/** Of a garbage collection before and after it. */
function messageRowsOf(figures: Night['runs'][number]['figures']): number | string {
  const { messageRows, messageRowsBefore, messageRowsAfter } = figures;
  if (messageRowsBefore === undefined || messageRowsAfter === undefined) return messageRows ?? '';
  return `${messageRowsBefore} → ${messageRowsAfter}`;
}

function conclude({ runs, alarms, rows, media, logins, mismatches }: Night): void {
  const runTable = new Table({
    head: [
      'deployment',
      'job',
      'outcome',
      'minutes',
      'calls',
      'deleted',
      'marked read',
      'message rows',
      'left (SQL)',
      'containers',
      'bytes freed',
      'tasks replaced',
    ],
    style: PLAIN,
  });
  for (const { deployment, job, outcome, startedAt, endedAt, figures } of runs) {
    const minutes = Math.round((Date.parse(endedAt) - Date.parse(startedAt)) / 60_000);
    const { calls = '', messagesDeleted, itemsDeleted, messagesMarkedRead = '' } = figures;
    const { containersCleaned = '', bytesFreed = '', tasksReplaced = '' } = figures;
    runTable.push([
      deployment,
      job,
      outcome,
      minutes,
      calls,
      messagesDeleted ?? itemsDeleted ?? '',
      messagesMarkedRead,
      messageRowsOf(figures),
      leftOf(job, rows[deployment]),
      containersCleaned,
      bytesFreed,
      tasksReplaced,
    ]);
  }
  console.log(`\n${runTable.toString()}`);
  const loginTable = new Table({
    head: ['deployment', "containers' logins to the database", 'failed'],
    style: PLAIN,
  });
  for (const { deployment, made, failed } of logins) loginTable.push([deployment, made, failed]);
  if (logins.length > 0) console.log(`\n${loginTable.toString()}`);
  const mediaTable = new Table({
    head: ['media volume', 'files', 'bytes', 'bytes as CloudWatch has them, hours later'],
    style: PLAIN,
  });
  for (const [deployment, { before, after, storageBytes = '' }] of Object.entries(media))
    mediaTable.push([
      deployment,
      `${before.files} → ${after.files}`,
      `${before.bytes} → ${after.bytes}`,
      storageBytes,
    ]);
  if (mediaTable.length > 0) console.log(`\n${mediaTable.toString()}`);
  for (const { deployment, problems } of runs)
    for (const { what, where, next } of problems)
      console.log(`\n${deployment}: ${what}\n  Where: ${where}\n  Next:  ${next}`);
  const alarmTable = new Table({ head: ['alarm that rang', 'when (UTC)'], style: PLAIN });
  for (const { name, rangAt } of alarms) alarmTable.push([name, rangAt]);
  console.log(alarms.length > 0 ? `\n${alarmTable.toString()}` : '\nNo alarm rang.');
  if (mismatches.length === 0) {
    console.log('\nThe night went as its script expects.');
    return;
  }
  console.error('\nThe night did not go as its script expects:');
  for (const mismatch of mismatches) console.error(`- ${mismatch}`);
  process.exitCode = 1;
}
