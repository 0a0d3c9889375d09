import type { CommandResult, CommandStatus } from './command-result.ts';
import { conclude, stop } from './conclude.ts';
import { follow } from './follow.ts';
import { type Any, type AnyOptions, type RunHabits, withRun } from './run.ts';
import type {
  ByteOptions,
  CommandOptions,
  ExecuteOptions,
  LookOptions,
  RunOptions,
  TextOptions,
} from './run-options.ts';

/**
 * Runs a command in a container and says how it ended. Standard error comes with the output.
 *
 * @throws EcsExecError if it could not be started: one class per cause
 * @throws the signal's reason, after the command was stopped
 */
export async function executeCommand(
  options: ExecuteOptions & ByteOptions,
): Promise<CommandResult<Uint8Array>>;
export async function executeCommand(options: ExecuteOptions & TextOptions): Promise<CommandResult>;
export async function executeCommand(options: ExecuteOptions & AnyOptions): Promise<CommandResult<Any>> {
  return await execute(options);
}

/** {@link executeCommand}, for those who know their sink. */
export async function execute<Content extends Any>(
  options: ExecuteOptions & AnyOptions,
  habits?: RunHabits,
): Promise<CommandResult<Content>> {
  return await withRun<Content, CommandResult<Content>>(
    options,
    async (run) =>
      conclude(run, await follow(run, options), options.keepStatus === true ? 'leave' : 'forget'),
    habits,
  );
}

/**
 * Starts a command, or finds it started, and leaves it running: for one that outlives its caller. Ask for its end by
 * {@link commandStatus}, and {@link forgetCommand} when that is noted.
 *
 * @returns the command's end instead, if it comes within `attendFor`
 * @throws EcsExecError if it could not be started: one class per cause
 */
export async function startCommand(
  options: CommandOptions &
    TextOptions & {
      /** Milliseconds. @default 3,000 */
      attendFor?: number;
    },
): Promise<CommandStatus> {
  return await withRun<string>(options, async (run) => {
    const until = Date.now() + (options.attendFor ?? 3_000);
    const end = await follow(run, options, until);
    return end.run === 'left' ? await run.leave('running') : await conclude(run, end, 'leave');
  });
}

/**
 * How a command stands that was started before. Of its output only the beginning and the end are fetched, however
 * much there is; a sink gets what there is behind `from`.
 *
 * @throws EcsExecError if no session could be opened: one class per cause
 */
export async function commandStatus(options: LookOptions & ByteOptions): Promise<CommandStatus<Uint8Array>>;
export async function commandStatus(options: LookOptions & TextOptions): Promise<CommandStatus>;
export async function commandStatus(options: LookOptions & AnyOptions): Promise<CommandStatus<Any>> {
  return await withRun(options, async (run) => {
    const answer = await run.look();
    switch (answer.run) {
      case 'absent':
      case 'forgotten':
        return await run.leave('unknown');
      case 'running':
      case 'orphaned':
        await run.readTo(answer);
        return await run.leave('running');
      default:
        return await conclude(run, answer, 'leave');
    }
  });
}

/** Ends a command that was started before: TERM to its process group, then KILL. Its status is kept. */
export async function stopCommand(options: RunOptions & TextOptions): Promise<CommandStatus> {
  return await withRun<string>(options, async (run) => {
    const answer = await run.attendance.ask('TERM');
    if (answer.run === 'absent' || answer.run === 'forgotten') return await run.leave('unknown');
    if (answer.run === 'running' || answer.run === 'orphaned') return await stop(run, answer, 'leave');
    return await conclude(run, answer, 'leave');
  });
}

/** Removes what a command that has ended left in the container: its status and its output. */
export async function forgetCommand(options: RunOptions): Promise<void> {
  await withRun(options, async (run) => await run.takeLeave('forget'));
}
