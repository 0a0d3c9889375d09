import type { RunReport } from '../../functions/shared/run/report.ts';
import type { Night } from '../night-checks.ts';
import {
  type Chart,
  callsByService,
  cleanedContainers,
  diskFreed,
  loginsPerSecond,
  rowsFalling,
  steps,
  timeline,
} from './charts.ts';
import { draw } from './draw.ts';
import { type Html, html, join, raw, table, trusted } from './html.ts';
import { type RecordedExecution, type Recording, withoutReport } from './recording.ts';
import { STYLE } from './style.ts';

export interface Picture {
  night: Night;
  recording: Recording;
  /** What goes wrong in this night, in a sentence each. */
  faults: readonly string[];
}

/** The whole night on one page that needs nothing else: no script, no network. */
export async function nightPage({ night, recording, faults }: Picture): Promise<string> {
  const { begin, end, deployments } = recording;
  const day = new Date(begin).toISOString().slice(0, 10);
  const title =
    faults.length > 0 ? `A night in which something went wrong, ${day}` : `A night of upkeep, ${day}`;
  const body = html`<header>
<h1>${title}</h1>
<p>${deployments.join(', ')}: ${clock(begin)} to ${clock(end)} UTC, played on this machine by <code>npm start</code>. All times are the
night's own, in UTC.</p>
${faults.length > 0 ? html`<p class="fault"><strong>What was made to go wrong:</strong> ${faults.join('; ')}</p>` : ''}
${verdict(night)}
</header>
<main>
${section('timeline', 'The night', 'When each job ran for each deployment, and when alarms rang.', [
  await figure('Timeline of the runs and the alarms', timeline(night.runs, recording), runsTable(night.runs)),
])}
${section('alarms', 'Alarms', 'Each alarm that rang, until it was quiet again.', [alarmsTable(recording)])}
${section('rows', 'Rows falling', 'Rows of messages as SQL counts them at the end, and before it what each statement of the garbage collection deleted. The dashed line: 2 million, at which an alarm rings.', await rowFigures(recording))}
${section('disk', 'Disk freed in each container', 'As log-cleanup measured it before and after the script.', await diskFigures(night.runs))}
${section('logins', "The containers' logins", "Logins to the database in each second, by the machine's own time, since the night's clock jumps over the waits; below them, while which service's tasks were replaced. The upright line: the password is changed.", await loginFigures(recording))}
${section(
  'calls',
  'Calls to AWS',
  'By service, of the functions and of the services among themselves, each judged by the policies.',
  [
    await figure(
      'Calls to AWS by service',
      callsByService(recording.calls),
      table(
        ['service', 'allowed', 'refused'],
        recording.calls.map(({ service, allowed, refused }) => [service, allowed, refused]),
      ),
    ),
  ],
)}
${section('runs', 'Each run', 'Its report, and its steps with their tries and waits. Those that did not succeed are open.', await runDetails(night.runs, recording))}
</main>`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>${raw(html`${title}`)}</title>
<style>${STYLE}</style>
</head>
<body>
${raw(body)}
</body>
</html>
`;
}

function verdict({ runs, alarms, mismatches }: Night): Html {
  const succeeded = runs.filter(({ outcome }) => outcome === 'succeeded').length;
  const rang =
    alarms.length === 0
      ? 'No alarm rang'
      : `${alarms.length} ${alarms.length === 1 ? 'alarm' : 'alarms'} rang`;
  return html`<p class="verdict">${succeeded} of ${runs.length} runs succeeded. ${rang}. ${
    mismatches.length === 0
      ? 'All went as the script expects.'
      : html`<strong>It did not go as the script expects:</strong> ${mismatches.join('; ')}`
  }</p>`;
}

function section(id: string, title: string, what: string, content: Html[]): Html {
  return html`<section aria-labelledby="${id}">
<h2 id="${id}">${title}</h2>
<p>${what}</p>
${content.length > 0 ? join(content) : html`<p>None in this night.</p>`}
</section>`;
}

/** A chart, and the table behind it, which a screen reader reads. */
async function figure(title: string, chart: Chart, data: Html): Promise<Html> {
  const { wide, narrow } = await draw(chart);
  return html`<figure>
<figcaption>${title}</figcaption>
<div role="img" aria-label="${title}. The table below has the same figures.">
<div class="wide" aria-hidden="true">${trusted(wide)}</div><div class="narrow" aria-hidden="true">${trusted(narrow)}</div>
</div>
<details><summary>${title}: the table</summary><div class="scroll">${data}</div></details>
</figure>`;
}

function runsTable(runs: readonly RunReport[]): Html {
  return table(
    ['deployment', 'job', 'outcome', 'started', 'ended', 'seconds', 'problems'],
    runs.map(({ deployment, job, outcome, startedAt, endedAt, problems }) => [
      deployment,
      job,
      outcome,
      clock(Date.parse(startedAt)),
      clock(Date.parse(endedAt)),
      Math.round((Date.parse(endedAt) - Date.parse(startedAt)) / 1000),
      problems.length,
    ]),
  );
}

function alarmsTable({ alarms }: Recording): Html {
  if (alarms.length === 0) return html`<p>No alarm rang.</p>`;
  return html`<div class="scroll">${table(
    ['alarm', 'rang', 'quiet again'],
    alarms.map(({ name, begin, end }) => [name, clock(begin), end === undefined ? 'not yet' : clock(end)]),
    'Alarms that rang',
  )}</div>`;
}

async function rowFigures({ deployments, rows }: Recording): Promise<Html[]> {
  const figures: Html[] = [];
  for (const name of deployments) {
    const points = rows.filter(({ deployment }) => deployment === name);
    if (points.length === 0) continue;
    figures.push(
      await figure(
        `Rows of messages of ${name}`,
        rowsFalling(points),
        table(
          ['time', 'rows'],
          points.map(({ time, rows }) => [clock(time), rows]),
        ),
      ),
    );
  }
  return figures;
}

async function diskFigures(runs: readonly RunReport[]): Promise<Html[]> {
  const figures: Html[] = [];
  for (const run of runs) {
    const containers = cleanedContainers(run);
    if (containers.length === 0) continue;
    figures.push(
      await figure(
        `Bytes freed in the containers of ${run.deployment}, ${clock(Date.parse(run.startedAt))}`,
        diskFreed(containers),
        table(
          ['container', 'role', 'bytes freed'],
          containers.map(({ container, role, bytesFreed }) => [container, role, bytesFreed]),
        ),
      ),
    );
  }
  return figures;
}

async function loginFigures({ logins }: Recording): Promise<Html[]> {
  const figures: Html[] = [];
  for (const each of logins) {
    const changes = each.changes.map(({ second, time, failed }) => [
      failed ? 'the rotation fails' : 'the password is changed',
      clock(time),
      second,
      '',
    ]);
    const rolls = each.rolls.map(({ service, time, begin, end, state }) => [
      `roll of ${service}: ${state}`,
      clock(time),
      begin,
      end,
    ]);
    figures.push(
      await figure(
        `Logins of ${each.deployment}`,
        loginsPerSecond(each),
        html`${table(['what', 'time', 'second', 'until second'], [...changes, ...rolls])}
${table(
  ['second', 'old password', 'new password', 'wrong password', 'failed'],
  each.seconds.map(({ second, old, new: fresh, misread, failed }) => [second, old, fresh, misread, failed]),
)}`,
      ),
    );
  }
  return figures;
}

async function runDetails(runs: readonly RunReport[], { executions }: Recording): Promise<Html[]> {
  const details: Html[] = [];
  for (const run of runs)
    details.push(
      await runDetail(
        run,
        executions.find(({ runId }) => runId === run.runId),
      ),
    );
  for (const execution of withoutReport(executions, runs))
    details.push(html`<details class="run" open><summary>${execution.deployment} ${execution.job}: no report, ${execution.status.toLowerCase()} for Lambda</summary>
${await stepFigure(execution)}</details>`);
  return details;
}

async function runDetail(run: RunReport, execution: RecordedExecution | undefined): Promise<Html> {
  const { runId, deployment, job, outcome, startedAt, endedAt, figures, problems } = run;
  return html`<details class="run" data-run="${runId}"${outcome === 'succeeded' ? '' : html` open`}>
<summary><span class="outcome ${outcome}">${outcome}</span> ${deployment} ${job}, ${clock(Date.parse(startedAt))} to ${clock(Date.parse(endedAt))}</summary>
${join(
  problems.map(
    ({ what, where, next }) =>
      html`<div class="problem"><p><strong>${what}</strong></p><p>Where: ${where}</p><p>Next: ${next}</p></div>`,
  ),
)}
<div class="scroll figures">${table(['figure', 'value'], Object.entries(figures), `Figures of ${runId}`)}</div>
${execution ? await stepFigure(execution) : ''}
</details>`;
}

async function stepFigure(execution: RecordedExecution): Promise<Html> {
  const { runId, spans, crashes, begin } = execution;
  if (spans.length === 0 && crashes.length === 0) return html``;
  return figure(
    `Steps of ${runId}`,
    steps(execution),
    html`${table(
      ['step', 'what', 'from second', 'seconds'],
      spans.map((span) => [
        span.step,
        SPAN_WORDS[span.kind],
        (span.begin - begin) / 1000,
        (span.end - span.begin) / 1000,
      ]),
    )}${crashes.length > 0 ? html`<p>Invocations that ended with an error, or by force: ${crashes.map(clock).join(', ')}.</p>` : ''}`,
  );
}

const SPAN_WORDS = { works: 'works', fails: 'fails', retry: 'waits for the next try', waits: 'waits' };

function clock(time: number): string {
  return new Date(time).toISOString().slice(11, 19);
}
