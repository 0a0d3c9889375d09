import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RunReport } from '../../../functions/shared/run/report.ts';
import type { Night } from '../../../rehearsal/night-checks.ts';
import { nightPage } from '../../../rehearsal/picture/page.ts';
import type { Recording } from '../../../rehearsal/picture/recording.ts';
import { STYLE } from '../../../rehearsal/picture/style.ts';

const BEGIN = Date.parse('2026-11-24T21:00:00Z');
const MINUTE = 60_000;
const time = (minutes: number) => new Date(BEGIN + minutes * MINUTE).toISOString();

const FAILED: RunReport = {
  job: 'message-gc',
  deployment: 'latam',
  runId: 'latam-message-gc-1',
  scheduledFor: time(60),
  startedAt: time(61),
  endedAt: time(65),
  outcome: 'failed',
  figures: { calls: 1, messagesDeleted: 0 },
  problems: [{ what: 'WebApp said <b>no</b> & "went"', where: 'latam', next: 'Look at it.' }],
};

const NIGHT: Night = {
  runs: [FAILED],
  alarms: [{ name: 'latam-message-gc-failed', rangAt: time(65), told: true }],
  rows: {},
  media: {},
  logs: {},
  logins: [],
  mismatches: [],
};

const RECORDING: Recording = {
  begin: BEGIN,
  end: BEGIN + 720 * MINUTE,
  deployments: ['latam'],
  executions: [
    {
      deployment: 'latam',
      job: 'message-gc',
      runId: 'latam-message-gc-1',
      status: 'SUCCEEDED',
      begin: BEGIN + 61 * MINUTE,
      end: BEGIN + 65 * MINUTE,
      crashes: [BEGIN + 62 * MINUTE],
      spans: [
        { step: 'ask for GC 1', kind: 'fails', begin: BEGIN + 61 * MINUTE, end: BEGIN + 62 * MINUTE },
        { step: 'ask for GC 1', kind: 'retry', begin: BEGIN + 62 * MINUTE, end: BEGIN + 65 * MINUTE },
      ],
    },
    {
      deployment: 'latam',
      job: 'media-gc',
      runId: 'latam-media-gc-1',
      status: 'STOPPED',
      begin: BEGIN + 100 * MINUTE,
      end: BEGIN + 110 * MINUTE,
      crashes: [],
      spans: [],
    },
  ],
  alarms: [{ name: 'latam-message-gc-failed', begin: BEGIN + 65 * MINUTE, end: undefined }],
  rows: [],
  logins: [
    {
      deployment: 'apac',
      seconds: [{ second: 0, old: 2, new: 0, failed: 0, misread: 0 }],
      changes: [],
      rolls: ['WAEntWebService', 'WAEntMasterService', 'ms-WAMonitoringService'].map((name) => ({
        ...{ service: `shop-apac-${name}`, begin: 0, end: 1, time: BEGIN, state: 'completed' as const },
      })),
    },
  ],
  calls: [{ service: 'lambda', allowed: 3, refused: 1 }],
};

const page = await nightPage({
  night: NIGHT,
  recording: RECORDING,
  faults: ['WebApp says no'],
});

test('a night in which something went wrong says what, and shows the failed run open, with what to do next', () => {
  assert.match(page, /What was made to go wrong:<\/strong> WebApp says no/);
  assert.match(page, /0 of 1 runs succeeded\. 1 alarm rang/);
  assert.match(page, /<details class="run" data-run="latam-message-gc-1" open>/);
  assert.match(page, /Next: Look at it\./);
  assert.match(page, /<th scope="row">ask for GC 1<\/th><td>fails<\/td>/);
  assert.match(page, /waits for the next try/);
  assert.match(page, /Invocations that ended with an error, or by force: 22:02:00/);
});

test('services are told apart by the few letters that a phone has room for: what all begin with is left out', () => {
  assert.match(page, />WAEntWebService</);
  assert.match(page, />ms-WAMonitoringService</);
  assert.ok(!page.includes('>shop-apac-WAEntWebService<'));
});

test('an alarm that still rings at the end of the night is told as that, and a run without a report by what Lambda has', () => {
  assert.match(page, /latam-message-gc-failed<\/th><td>22:05:00<\/td>\n<td>not yet/);
  assert.match(page, /latam media-gc: no report, stopped for Lambda/);
});

test('what reports say stands there as text', () => {
  assert.match(page, /WebApp said &#60;b&#62;no&#60;\/b&#62; &#38; &#34;went&#34;/);
  assert.ok(!page.includes('<b>no</b>'));
});

test('the page asks for nothing: no script, no address', () => {
  assert.ok(
    !/<script|<link (?!rel="icon" href="data:)|\b(src|href)="(?!data:)|url\(/.test(
      page.replaceAll(/xlink:href="#/g, ''),
    ),
    'asks',
  );
  assert.match(page, /default-src 'none'/);
});

test('each chart is drawn in both sizes, in colours that the page has for dark and light', () => {
  const figures = page.match(/<figure>/g)?.length ?? 0;
  assert.ok(figures >= 3);
  assert.equal(page.match(/<svg /g)?.length, 2 * figures);
  const used = new Set(page.match(/var\((--[a-z]+)\)/g));
  for (const name of used) {
    const defined = page.split(`${name.slice(4, -1)}:`).length - 1;
    assert.equal(defined, 2, `${name} is there in dark and light`);
  }
});

test('what is read stands out from the page in light and in dark, as WCAG asks of text', () => {
  const schemes = Array.from(STYLE.matchAll(/:root \{[^}]*--page[^}]*\}/g), ([rule]) =>
    Object.fromEntries(
      Array.from(rule.matchAll(/--(\w+): (#[0-9a-f]{6})/g), ([, name, colour]) => [name, colour]),
    ),
  );
  assert.equal(schemes.length, 2);
  for (const { page = '', ...colours } of schemes)
    for (const name of ['text', 'good', 'warning', 'bad', 'muted']) {
      const [dark = 0, light = 0] = [luminance(page), luminance(colours[name] ?? '')].sort((a, b) => a - b);
      assert.ok((light + 0.05) / (dark + 0.05) >= 4.5, `${name} ${colours[name]} on ${page}`);
    }
});

/** Of WCAG 2.2, relative luminance. */
function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
