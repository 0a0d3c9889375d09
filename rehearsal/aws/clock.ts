import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The time that everything in a rehearsal goes by. */
export interface Clock {
  /** Whether time jumps; false where it is the real one. */
  readonly simulated: boolean;
  /** Epoch milliseconds. */
  now(): number;
  /** Calls the task at a time (at once if that is past); the clock stands until its promise settles. Returns a cancel. */
  at(time: number, task: () => void | Promise<void>): () => void;
  /** Only inside held work: gives the hold up while asleep. */
  sleep(milliseconds: number): Promise<void>;
  /** While the promise is pending, time flows as real time; it jumps only while nothing is held. */
  hold<T>(work: () => Promise<T>): Promise<T>;
  /** Only inside held work: gives the hold up until the promise settles. */
  release<T>(work: () => Promise<T>): Promise<T>;
  /** Moves time on although work is going on (a long poll that finds nothing), starting what falls due on the way. */
  advance(milliseconds: number): void;
  /** Plays until the time is reached and everything due by then is done. Throws what a task threw. */
  runUntil(time: number): Promise<void>;
  /** Holds the milliseconds that this clock is ahead of the real one (a float64, native byte order), for other processes. */
  readonly file: string;
  /** Forgets all tasks and closes the file. */
  close(): void;
}

interface Appointment {
  time: number;
  order: number;
  task: () => void | Promise<void>;
  cancelled: boolean;
}

/** Node's timers take at most a signed 32-bit number of milliseconds. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** A clock that starts at a time and jumps from one appointment to the next; its file is made in the folder. */
export function simulatedClock(start: number, folder: string): Clock {
  const file = join(folder, 'clock');
  const descriptor = openSync(file, 'w+');
  /** Latest first, so that the next one is taken from the end. */
  const appointments: Appointment[] = [];
  let offset = 0;
  let holds = 0;
  let order = 0;
  let running = false;
  let closed = false;
  let failure: { error: unknown } | undefined;
  let wake = () => {};

  const now = () => Date.now() + offset;

  function jump(time: number) {
    offset = time - Date.now();
    const bytes = new Float64Array([offset]);
    writeSync(descriptor, new Uint8Array(bytes.buffer), 0, 8, 0);
  }

  function peek(): Appointment | undefined {
    for (;;) {
      const next = appointments.at(-1);
      if (next === undefined || !next.cancelled) return next;
      appointments.pop();
    }
  }

  function at(time: number, task: Appointment['task']): () => void {
    const appointment: Appointment = { time, order: order++, task, cancelled: closed };
    let low = 0;
    let high = appointments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = appointments[middle];
      // The new one has the highest order number: among equals it comes first in this list and is taken last.
      if (other !== undefined && other.time > time) low = middle + 1;
      else high = middle;
    }
    appointments.splice(low, 0, appointment);
    wake();
    return () => {
      appointment.cancelled = true;
    };
  }

  async function hold<T>(work: () => Promise<T>): Promise<T> {
    holds++;
    try {
      return await work();
    } finally {
      holds--;
      wake();
    }
  }

  async function release<T>(work: () => Promise<T>): Promise<T> {
    if (holds === 0) throw new Error('nothing is held: release and sleep belong inside held work');
    holds--;
    wake();
    try {
      return await work();
    } finally {
      holds++;
    }
  }

  function sleep(milliseconds: number): Promise<void> {
    return release(
      () =>
        // The appointment's own hold lasts a turn longer than the sleep, so that no jump comes between.
        new Promise<void>((resolve) => {
          at(now() + milliseconds, async () => {
            resolve();
            await new Promise((next) => setImmediate(next));
          });
        }),
    );
  }

  function begin(appointment: Appointment) {
    appointments.pop();
    appointment.cancelled = true;
    let result: void | Promise<void>;
    try {
      result = appointment.task();
    } catch (error) {
      failure ??= { error };
      return;
    }
    if (result instanceof Promise) {
      hold(() => result).catch((error: unknown) => {
        if (!closed) failure ??= { error };
        wake();
      });
    }
  }

  function advance(milliseconds: number) {
    const target = now() + milliseconds;
    for (let next = peek(); next !== undefined && next.time <= target; next = peek()) {
      if (next.time > now()) jump(next.time);
      begin(next);
    }
    if (now() < target) jump(target);
  }

  function changed(due: number | undefined): Promise<void> {
    return new Promise((resolve) => {
      const timer =
        due === undefined
          ? undefined
          : setTimeout(() => wake(), Math.min(Math.max(due - now(), 0), LONGEST_TIMER));
      wake = () => {
        clearTimeout(timer);
        wake = () => {};
        resolve();
      };
    });
  }

  async function runUntil(time: number): Promise<void> {
    if (running) throw new Error('the clock is running already');
    running = true;
    try {
      let quiet = false;
      while (!closed) {
        if (failure !== undefined) {
          const { error } = failure;
          failure = undefined;
          throw error;
        }
        const next = peek();
        if (next !== undefined && next.time <= now()) {
          begin(next);
          quiet = holds === 0 && quiet;
        } else if (holds > 0) {
          await changed(next?.time);
          quiet = false;
        } else if (!quiet) {
          // What was just released may be about to start something else.
          await new Promise((turn) => setImmediate(turn));
          quiet = holds === 0;
        } else if (next === undefined || next.time > time) {
          if (now() < time) jump(time);
          return;
        } else {
          jump(next.time);
        }
      }
    } finally {
      running = false;
    }
  }

  jump(start);
  return {
    simulated: true,
    now,
    at,
    sleep,
    hold,
    release,
    advance,
    runUntil,
    file,
    close() {
      if (closed) return;
      closed = true;
      appointments.length = 0;
      closeSync(descriptor);
      rmSync(file, { force: true });
      wake();
    },
  };
}

/** The real time, for stand-ins that stay up: nothing jumps, and `advance` does nothing. */
export function realClock(): Clock {
  const folder = mkdtempSync(join(tmpdir(), 'wa-upkeep-clock-'));
  const file = join(folder, 'clock');
  const descriptor = openSync(file, 'w+');
  writeSync(descriptor, new Uint8Array(8), 0, 8, 0);
  const timers = new Set<() => void>();

  function at(time: number, task: Appointment['task']): () => void {
    let timer: NodeJS.Timeout;
    const cancel = () => {
      clearTimeout(timer);
      timers.delete(cancel);
    };
    const arm = () => {
      timer = setTimeout(
        () => {
          if (Date.now() < time) return arm();
          timers.delete(cancel);
          void Promise.resolve().then(task).catch(rethrow);
        },
        Math.min(Math.max(time - Date.now(), 0), LONGEST_TIMER),
      );
    };
    timers.add(cancel);
    arm();
    return cancel;
  }
  const sleep = (milliseconds: number) =>
    new Promise<void>((resolve) => {
      at(Date.now() + milliseconds, resolve);
    });

  return {
    simulated: false,
    now: Date.now,
    at,
    sleep,
    hold: (work) => work(),
    release: (work) => work(),
    advance: () => {},
    runUntil: (time) => sleep(time - Date.now()),
    file,
    close() {
      for (const cancel of timers) cancel();
      closeSync(descriptor);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function rethrow(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}
