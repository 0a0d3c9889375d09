import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Clock, simulatedClock } from '../../rehearsal/aws/clock.ts';
import { readMoment } from '../../rehearsal/clock-page.ts';
import { RunningClock } from '../../rehearsal/running-clock.ts';

const START = Date.parse('2026-11-29T05:00:00Z');
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

async function withClock(
  speed: number,
  work: (running: RunningClock, clock: Clock, errors: unknown[]) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'running-clock-'));
  const clock = simulatedClock(START, folder);
  const errors: unknown[] = [];
  const running = new RunningClock(clock, speed, (error) => errors.push(error));
  try {
    await work(running, clock, errors);
  } finally {
    const stopped = running.stop();
    clock.close();
    await stopped;
    rmSync(folder, { recursive: true });
  }
}

test('a running clock does what falls due by itself, faster than real time where that is wanted', () =>
  withClock(3600, async (running, clock) => {
    const due = new Promise<number>((resolve) => clock.at(START + HOUR, () => resolve(clock.now())));
    assert.ok((await due) >= START + HOUR);
    assert.ok(running.now() < START + 20 * HOUR);
  }));

test('a running clock is moved on, doing all that is due on the way in its order, also past an error', () =>
  withClock(1, async (running, clock, errors) => {
    const done: string[] = [];
    clock.at(START + 2 * HOUR, async () => {
      await clock.hold(() => new Promise((resolve) => setTimeout(resolve, 5)));
      done.push('second');
    });
    clock.at(START + HOUR, () => {
      done.push('first');
      throw new Error('as any task may');
    });
    await running.moveTo(START + 3 * HOUR);
    assert.deepEqual(done, ['first', 'second']);
    assert.match(String(errors), /as any task may/);
    assert.ok(running.now() >= START + 3 * HOUR && running.now() < START + 4 * HOUR);
    // There it is already.
    await running.moveTo(START);
    assert.ok(running.now() >= START + 3 * HOUR);
  }));

test('whoever waits for a running clock is let go when it stops', () =>
  withClock(1, async (running, clock) => {
    let letGo = () => {};
    clock.at(START + HOUR, () => new Promise<void>((resolve) => (letGo = resolve)));
    const moves = [running.moveTo(START + 2 * HOUR), running.moveTo(START + 3 * HOUR)];
    while (clock.now() < START + HOUR) await new Promise((next) => setImmediate(next));
    const stopped = running.stop();
    clock.close();
    letGo();
    await Promise.all([...moves, stopped]);
    await running.moveTo(START + 9 * HOUR);
  }));

const MOMENTS: [text: string, which: 'today' | 'next', at: string][] = [
  // In São Paulo it is two in the night of the same day.
  ['02:30', 'today', '2026-11-29T05:30:00Z'],
  ['01:00', 'today', '2026-11-29T04:00:00Z'],
  ['02:30', 'next', '2026-11-29T05:30:00Z'],
  ['01:00', 'next', '2026-11-30T04:00:00Z'],
  ['02:00', 'next', '2026-11-30T05:00:00Z'],
  ['2026-12-01T02:00:00-03:00', 'next', '2026-12-01T05:00:00Z'],
  ['2026-12-01T02:00:00Z', 'today', '2026-12-01T02:00:00Z'],
];

for (const [text, which, at] of MOMENTS)
  test(`${text} is read as a moment in the time zone of a deployment (${which})`, () => {
    assert.equal(readMoment(text, 'America/Sao_Paulo', START, which), Date.parse(at));
  });

for (const text of ['2:30', '24:00', 'tomorrow', '2026-12-01', '2026-12-01T02:00:00', '2026-13-01T02:00:00Z'])
  test(`${text} is no moment`, () => {
    assert.throws(() => readMoment(text, 'America/Sao_Paulo', START, 'today'), /is no time: 02:30, or/);
  });
