import type { Answer } from './attendance.ts';
import type { CommandResult } from './command-result.ts';
import { EncoderMissingError, StartError } from './errors.ts';
import type { FollowEnd } from './follow.ts';
import type { Any, Run } from './run.ts';
import { sleep } from './timers.ts';

/**
 * The result of a run that has ended, or is stopped here because its time is over.
 *
 * @param files of the run: are removed, or stay for a later question
 */
export async function conclude<Content extends Any>(
  run: Run<Content>,
  end: Exclude<FollowEnd, { run: 'left' }>,
  files: 'forget' | 'leave',
): Promise<CommandResult<Content>> {
  const { runId, deadline, signal } = run.options;
  switch (end.run) {
    case 'exited':
      await run.readTo(end, deadline?.getTime());
      await run.takeLeave(files);
      return { outcome: 'exited', exitCode: end.exitCode, ...(await run.printed()) };
    case 'interrupted': {
      await run.attendance.interrupt();
      const first = await run.attendance.ask('TERM');
      // It has ended by itself meanwhile, or its container has.
      if (first.run === 'exited' || first.run === 'gone') {
        const result = await conclude(run, first, files);
        signal?.throwIfAborted();
        return result;
      }
      return await stop(run, first, files);
    }
    case 'no-encoder':
      await run.takeLeave('leave');
      throw new EncoderMissingError(
        `The container has neither base64 nor od, so the output of run ${runId} cannot be had ` +
          'byte for byte. If it was to be started, it was not.',
      );
    case 'no-input':
      await run.takeLeave('leave');
      throw new StartError(
        `The input of run ${runId} did not arrive whole in the container, so the command was not started.`,
      );
    case 'refused':
      await run.takeLeave(files);
      throw new StartError(
        `Run ${runId} ended before its command began, so nothing has run: the container let no further process be ` +
          'made (it is at its limit of processes, or out of memory), or was told to kill it.',
      );
    case 'died':
      await run.readTo(end, deadline?.getTime());
      await run.takeLeave(files);
      return {
        outcome: 'lost',
        reason: run.wasOrphaned
          ? 'the process that was to keep the status was killed (by KILL, or for want of memory); the command went on and has ended since'
          : 'all its processes were killed (by KILL, or for want of memory) and left no exit code',
        ...(await run.printed()),
      };
    case 'gone':
      return {
        outcome: 'gone',
        reason: end.reason,
        ...(!run.wasAskedToStart && { notAskedToStart: true }),
        ...(await run.printed()),
      };
    case 'lost':
      return { outcome: end.run, reason: end.reason, ...(await run.printed()) };
  }
}

/** The result of a run that was sent TERM: waits for that, and sends KILL. */
export async function stop<Content extends Any>(
  run: Run<Content>,
  first: Answer,
  files: 'forget' | 'leave',
): Promise<CommandResult<Content>> {
  const last = await stopped(run, first);
  await run.readTo(last, Date.now());
  await run.takeLeave(files);
  run.options.signal?.throwIfAborted();
  return {
    outcome: 'timed-out',
    stopped: last.run !== 'lost' && !goesOn(last, run),
    ...(await run.printed()),
  };
}

async function stopped(run: Run<Any>, first: Answer): Promise<Answer> {
  let answer = first;
  for (const [signal, patience] of [
    ['TERM', TERM_PATIENCE],
    ['KILL', KILL_PATIENCE],
  ] as const) {
    if (signal === 'KILL') answer = await run.attendance.ask(signal);
    const until = performance.now() + patience;
    while (goesOn(answer, run) && performance.now() < until) {
      await sleep(STOP_CHECK);
      // One that comes to run only now has missed the signal.
      answer = await run.attendance.ask(isYetToCome(answer) ? signal : 'state');
    }
    if (!goesOn(answer, run)) break;
  }
  return answer;
}

function goesOn(answer: Answer, { mayYetStart }: Run<Any>): boolean {
  if (answer.run === 'absent') return mayYetStart;
  return answer.run === 'running' || answer.run === 'orphaned';
}

function isYetToCome(answer: Answer): boolean {
  return answer.run === 'absent' || 'isEarly' in answer;
}

// Milliseconds.
const STOP_CHECK = 250;
/** What a command gets to clean up after TERM: as ECS gives a task, less Lambda's own need. */
const TERM_PATIENCE = 10_000;
const KILL_PATIENCE = 5_000;
