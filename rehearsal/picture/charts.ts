import * as v from 'valibot';
import type { TopLevelSpec } from 'vega-lite';
import type { RunReport } from '../../functions/shared/run/report.ts';
import { LARGE_ROWS } from '../night-checks.ts';
import { type RecordedExecution, type RecordedLogins, type Recording, withoutReport } from './recording.ts';

/** What a chart is given in place of its data's own size: pixels of its whole width. */
export interface ChartSize {
  width: number;
  /** Where the name of each line stands: beside it, in so many pixels at most, or above it, where there is no room beside it. */
  labels: number | 'above';
}

/** Of a chart, whatever its width. */
export type Chart = (size: ChartSize) => TopLevelSpec;

const MINUTE = 60_000;

/** The colours are the page's, in which dark and light differ. */
const COLOURS = {
  succeeded: 'var(--good)',
  partial: 'var(--warning)',
  failed: 'var(--bad)',
  skipped: 'var(--muted)',
  lost: 'var(--bad)',
  alarm: 'var(--alarm)',
  works: 'var(--work)',
  fails: 'var(--bad)',
  retry: 'var(--warning)',
  waits: 'var(--wait)',
  'old password': 'var(--work)',
  'new password': 'var(--good)',
  'wrong password': 'var(--warning)',
  allowed: 'var(--work)',
  refused: 'var(--bad)',
  'goes on': 'var(--warning)',
  completed: 'var(--wait)',
} as const;

/** A time so near the end of an axis stands within it. */
const FLUSH = 26;

const UTC_AXIS = { format: '%H:%M', title: 'UTC', labelOverlap: true, labelFlush: FLUSH };

/** Only those of the colours that the rows have in a field, each with its name in the legend. */
function colour<Field extends string>(
  field: Field,
  rows: readonly Record<Field, string>[],
  all: readonly (keyof typeof COLOURS)[],
) {
  const names = all.filter((name) => rows.some((row) => row[field] === name));
  return {
    field,
    type: 'nominal' as const,
    scale: { domain: names, range: names.map((name) => COLOURS[name]) },
    legend: { title: null, orient: 'top' as const, columns: 3 },
  };
}

/** Of a name that stands above its line. */
const NAME_HEIGHT = 13;
/** On a phone: so many characters fit into its width, and so many in the smaller of two sizes. */
const NAME_FITS = 54;
const SMALL_NAME_FITS = 68;
/** Pixels of a character, beside a line. */
const CHARACTER = 6;

/** Each value of a field in a line of its own, in the order of the data. */
function line(field: string, { labels }: ChartSize, { grid = false } = {}) {
  const above = {
    labelFontSize: { condition: { test: `length(datum.label) > ${NAME_FITS}`, value: 8 }, value: 10 },
    labelAlign: 'left' as const,
    labelPadding: 2,
    labelOffset: -NAME_HEIGHT,
    ticks: false,
    domain: false,
  };
  const fits = labels === 'above' ? SMALL_NAME_FITS : Math.floor(labels / CHARACTER);
  const half = Math.floor(fits / 2) - 1;
  return {
    field,
    type: 'nominal' as const,
    sort: null,
    axis: {
      title: null,
      grid,
      // Both ends of one that is too long: often names differ in the end. The whole one stands in the table.
      labelExpr: `length(datum.label) > ${fits} ? slice(datum.label, 0, ${half}) + '…' + slice(datum.label, -${half}) : datum.label`,
      labelLimit: 0,
      ...(labels === 'above' && above),
    },
  };
}

/** The height of each line, which is `step` where its name stands beside it. */
function lines(step: number, { labels }: ChartSize): { step: number } {
  return { step: labels === 'above' ? step + NAME_HEIGHT : step };
}

/** Of an axis: what takes seconds of a night of hours is to be seen all the same. */
const SEEN = 0.003;

function visible<Span extends { begin: number; end: number }>(span: Span, begin: number, end: number): Span {
  return { ...span, end: Math.max(span.end, span.begin + (end - begin) * SEEN) };
}

/** Every run of every deployment, and every alarm for as long as it rang. */
export function timeline(runs: readonly RunReport[], { begin, end, alarms, executions }: Recording): Chart {
  const rows = [
    ...runs.map(({ deployment, job, outcome, startedAt, endedAt }) => ({
      row: `${deployment} ${job}`,
      what: outcome as string,
      begin: Date.parse(startedAt),
      end: Date.parse(endedAt),
    })),
    ...withoutReport(executions, runs).map(({ deployment, job, begin, end }) => ({
      row: `${deployment} ${job}`,
      what: 'lost',
      begin,
      end,
    })),
    ...alarms.map((alarm) => ({
      row: `${alarm.name} rings`,
      what: 'alarm',
      begin: alarm.begin,
      end: alarm.end ?? end,
    })),
  ].sort((one, other) => (one.row < other.row ? -1 : one.row > other.row ? 1 : one.begin - other.begin));
  return (size) => ({
    width: size.width,
    height: lines(22, size),
    data: { values: rows.map((row) => visible(row, begin, end)) },
    mark: { type: 'bar', height: 12 },
    encoding: {
      y: line('row', size, { grid: true }),
      x: {
        field: 'begin',
        type: 'temporal',
        scale: { type: 'utc', domain: [begin, end] },
        axis: UTC_AXIS,
      },
      x2: { field: 'end' },
      color: colour('what', rows, ['succeeded', 'partial', 'failed', 'skipped', 'lost', 'alarm']),
    },
  });
}

/** The steps of one run: its work, its tries and its waits. */
export function steps({ spans, crashes, begin, end }: RecordedExecution): Chart {
  const isLong = end - begin > 10 * MINUTE;
  const axis = { ...UTC_AXIS, format: isLong ? '%H:%M' : '%H:%M:%S', tickCount: 5 };
  const x = { type: 'temporal' as const, axis };
  return (size) => ({
    width: size.width,
    height: lines(15, size),
    layer: [
      {
        data: { values: spans.map((span) => visible(span, begin, end)) },
        mark: { type: 'bar', height: 9 },
        encoding: {
          y: line('step', size, { grid: true }),
          x: { ...x, field: 'begin', scale: { type: 'utc', domain: [begin, end] } },
          x2: { field: 'end' },
          color: colour('kind', spans, ['works', 'fails', 'retry', 'waits']),
        },
      },
      {
        data: { values: crashes.map((time) => ({ time })) },
        mark: { type: 'rule', color: 'var(--bad)', strokeDash: [4, 3] },
        encoding: { x: { ...x, field: 'time' } },
      },
    ],
  });
}

/** The rows of `messages` of one deployment, over the time in which they fell. */
export function rowsFalling(points: Recording['rows']): Chart {
  const changed = points.filter(({ rows }, index) => rows !== points[index - 1]?.rows).slice(1);
  const times = (changed.length > 0 ? changed : points).map(({ time }) => time);
  const domain = [Math.min(...times) - MINUTE, Math.max(...times) + MINUTE];
  const most = Math.max(...points.map(({ rows }) => rows));
  const y = {
    type: 'quantitative' as const,
    axis: { title: 'rows of messages', format: '~s', tickCount: 4 },
  };
  return ({ width }) => ({
    width,
    height: 150,
    layer: [
      {
        data: { values: points },
        mark: {
          type: 'area',
          interpolate: 'step-after',
          line: { color: 'var(--work)' },
          color: 'var(--wait)',
          clip: true,
        },
        encoding: {
          x: {
            field: 'time',
            type: 'temporal',
            scale: { type: 'utc', domain },
            axis: { ...UTC_AXIS, format: '%H:%M:%S', tickCount: 5 },
          },
          y: { field: 'rows', stack: null, ...y },
        },
      },
      ...(most > LARGE_ROWS * 0.75
        ? [
            {
              data: { values: [{ rows: LARGE_ROWS }] },
              mark: { type: 'rule' as const, color: 'var(--alarm)', strokeDash: [5, 3] },
              encoding: { y: { field: 'rows', ...y } },
            },
          ]
        : []),
    ],
  });
}

const CLEAN_UP_DETAILS = v.fallback(
  v.object({
    containers: v.array(v.object({ role: v.string(), task: v.string(), bytesFreed: v.optional(v.number()) })),
  }),
  { containers: [] },
);

/** A container that was cleaned. */
export interface CleanedContainer {
  container: string;
  role: string;
  bytesFreed: number;
}

/** What a run's report says of each container that it measured. */
export function cleanedContainers(report: RunReport): CleanedContainer[] {
  return v
    .parse(CLEAN_UP_DETAILS, report.details ?? {})
    .containers.flatMap(({ role, task, bytesFreed }) =>
      bytesFreed === undefined ? [] : [{ container: `${role} ${task.slice(0, 8)}`, role, bytesFreed }],
    )
    .sort((one, other) => other.bytesFreed - one.bytesFreed);
}

/** What was freed in each container. */
export function diskFreed(containers: readonly CleanedContainer[]): Chart {
  const roles = [...new Set(containers.map(({ role }) => role))].sort();
  const range = ['var(--work)', 'var(--good)', 'var(--warning)', 'var(--muted)'];
  return (size) => ({
    width: size.width,
    height: lines(14, size),
    data: { values: containers },
    mark: { type: 'bar', height: 9 },
    encoding: {
      y: line('container', size),
      x: {
        field: 'bytesFreed',
        type: 'quantitative',
        axis: { title: 'bytes freed', format: '~s', tickCount: 5 },
      },
      color: {
        field: 'role',
        type: 'nominal',
        scale: { domain: roles, range },
        legend: { title: null, orient: 'top' },
      },
    },
  });
}

/** Logins in each second of the machine's own time, with the change of the password and the roll of each service. */
export function loginsPerSecond({ seconds, changes, rolls }: RecordedLogins): Chart {
  const rows = seconds
    .flatMap(({ second, old, new: fresh, misread, failed }) => [
      { second, what: 'old password', logins: old },
      { second, what: 'new password', logins: fresh },
      { second, what: 'wrong password', logins: misread },
      { second, what: 'failed', logins: failed },
    ])
    .filter(({ logins }) => logins > 0)
    .map((row) => ({ ...row, next: row.second + 1 }));
  const x = { type: 'quantitative' as const };
  const scale = { domain: [0, seconds.length] };
  const beginning = commonBeginning(rolls.map(({ service }) => service));
  return (size) => {
    // What is left beside the axes.
    const width = size.width - (size.labels === 'above' ? 24 : Math.min(size.labels, 190)) - 30;
    const changed = {
      data: { values: changes.map(({ second }) => ({ second })) },
      mark: { type: 'rule' as const, color: 'var(--alarm)', strokeWidth: 2 },
      encoding: { x: { ...x, field: 'second' } },
    };
    return {
      spacing: 8,
      vconcat: [
        {
          width,
          height: 130,
          layer: [
            {
              data: { values: rows },
              mark: { type: 'bar' },
              encoding: {
                x: { ...x, field: 'second', bin: 'binned', scale, axis: { title: null, labels: false } },
                x2: { field: 'next' },
                y: {
                  field: 'logins',
                  type: 'quantitative',
                  stack: 'zero',
                  axis: { title: 'logins per second', tickCount: 4 },
                },
                color: colour('what', rows, ['old password', 'new password', 'wrong password', 'failed']),
              },
            },
            changed,
            {
              data: {
                values: changes.slice(0, 1).map(({ second, failed }) => ({
                  second,
                  text: failed ? 'rotation fails' : 'password changed',
                })),
              },
              mark: { type: 'text', align: 'left', dx: 4, baseline: 'top', color: 'var(--text)' },
              encoding: { x: { ...x, field: 'second' }, y: { value: 2 }, text: { field: 'text' } },
            },
          ],
        },
        {
          width,
          height: lines(16, size),
          layer: [
            {
              data: {
                values: rolls.map((roll) => ({ ...roll, service: roll.service.slice(beginning.length) })),
              },
              mark: { type: 'bar', height: 9, strokeWidth: 2 },
              encoding: {
                y: line('service', size, { grid: true }),
                x: { ...x, field: 'begin', scale, axis: { title: 'seconds of this machine' } },
                x2: { field: 'end' },
                color: { value: 'var(--wait)' },
                stroke: { value: 'var(--work)' },
              },
            },
            changed,
          ],
        },
      ],
    };
  };
}

/** What names begin with, all of them, up to a hyphen: on a phone there is room for a few letters, which are to differ. */
function commonBeginning(names: readonly string[]): string {
  const [first = '', ...others] = new Set(names);
  const parts = others.length > 0 ? first.split('-') : [];
  const beginnings = parts.map((_, index) => `${parts.slice(0, index).join('-')}${index > 0 ? '-' : ''}`);
  return beginnings.findLast((beginning) => others.every((name) => name.startsWith(beginning))) ?? '';
}

/** How often each service of AWS was used. */
export function callsByService(calls: Recording['calls']): Chart {
  const rows = calls.flatMap(({ service, allowed, refused }) => [
    { service, what: 'allowed', calls: allowed },
    ...(refused > 0 ? [{ service, what: 'refused', calls: refused }] : []),
  ]);
  return (size) => ({
    width: size.width,
    height: lines(18, size),
    data: { values: rows },
    mark: { type: 'bar', height: 12 },
    encoding: {
      y: line('service', size),
      x: { field: 'calls', type: 'quantitative', axis: { title: 'calls', tickCount: 5 } },
      color: colour('what', rows, ['allowed', 'refused']),
    },
  });
}
