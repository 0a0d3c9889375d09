import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as realTime } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type Clock, realClock, simulatedClock } from '../../../rehearsal/aws/clock.ts';

const folder = mkdtempSync(join(tmpdir(), 'clock-test-'));
after(() => rmSync(folder, { recursive: true }));
const START = Date.parse('2027-03-28T00:00:00Z');
const HOUR = 3_600_000;

async function withClock(work: (clock: Clock) => Promise<void>): Promise<void> {
  const clock = simulatedClock(START, folder);
  try {
    await work(clock);
  } finally {
    clock.close();
  }
}

test('jumps from one appointment to the next, in the order of their times', () =>
  withClock(async (clock) => {
    const seen: string[] = [];
    clock.at(START + 2 * HOUR, () => void seen.push('second'));
    clock.at(START + HOUR, () => void seen.push('first'));
    clock.at(START + 2 * HOUR, () => void seen.push('third, made later for the same time'));
    clock.at(START + 9 * HOUR, () => void seen.push('after the end'));
    const cancel = clock.at(START + HOUR, () => void seen.push('cancelled'));
    cancel();
    await clock.runUntil(START + 3 * HOUR);
    assert.deepEqual(seen, ['first', 'second', 'third, made later for the same time']);
    assert.ok(clock.now() >= START + 3 * HOUR && clock.now() < START + 4 * HOUR);
  }));

test('stands while a task works, and lets time flow on while one sleeps', () =>
  withClock(async (clock) => {
    const seen: [string, number][] = [];
    const note = (what: string) => seen.push([what, Math.floor((clock.now() - START) / HOUR)]);
    clock.at(START + HOUR, async () => {
      await realTime(20);
      note('worked');
      await clock.sleep(5 * HOUR);
      note('woke');
    });
    clock.at(START + 2 * HOUR, () => void note('in between'));
    await clock.runUntil(START + 10 * HOUR);
    assert.deepEqual(seen, [
      ['worked', 1],
      ['in between', 2],
      ['woke', 6],
    ]);
  }));

test('advance starts what falls due on the way, at its time', () =>
  withClock(async (clock) => {
    const seen: number[] = [];
    clock.at(START + HOUR, () => void seen.push(Math.floor((clock.now() - START) / HOUR)));
    await clock.hold(async () => clock.advance(3 * HOUR));
    assert.deepEqual(seen, [1]);
    assert.ok(clock.now() >= START + 3 * HOUR);
  }));

test('throws from runUntil what a task threw', () =>
  withClock(async (clock) => {
    clock.at(START + 1, async () => {
      throw new Error('from the task');
    });
    await assert.rejects(clock.runUntil(START + HOUR), /from the task/);
  }));

test('refuses a sleep where nothing is held', () =>
  withClock(async (clock) => {
    await assert.rejects(clock.sleep(1), /nothing is held/);
  }));

test('another process sees the time, and reaches mapped hosts on loopback', async () => {
  const server = createServer((socket) => socket.end('hello')).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  try {
    await withClock(async (clock) => {
      const script = `
        import { connect } from 'node:net';
        const date = new Date();
        const socket = connect({ host: 'webapp.internal', port: 443 });
        socket.on('data', (data) => console.log(JSON.stringify([date.toISOString(), Date.now(), date instanceof Date,
          date.constructor === Date, new Date(5).getTime(), typeof Date(), String(data)])));`;
      const { stdout } = await promisify(execFile)(
        process.execPath,
        [
          '--import',
          join(import.meta.dirname, '../../../rehearsal/aws/lambda/preload.ts'),
          '--input-type=module',
          '-e',
          script,
        ],
        {
          env: {
            REHEARSAL_CLOCK: clock.file,
            REHEARSAL_HOSTS: JSON.stringify({ 'webapp.internal:443': `127.0.0.1:${address.port}` }),
          },
        },
      );
      const [iso, now, ...rest] = JSON.parse(stdout);
      assert.ok(iso.startsWith('2027-03-28T00:0'), iso);
      assert.ok(now >= START && now < START + HOUR);
      assert.deepEqual(rest, [true, true, 5, 'string', 'hello']);
    });
  } finally {
    server.close();
  }
});

test('the real clock keeps appointments in real time and jumps nowhere', async () => {
  const clock = realClock();
  try {
    let fired = false;
    clock.at(Date.now() + 10, () => {
      fired = true;
    });
    clock.advance(HOUR);
    assert.ok(Math.abs(clock.now() - Date.now()) < 60_000);
    await clock.runUntil(Date.now() + 60);
    assert.ok(fired);
  } finally {
    clock.close();
  }
});
