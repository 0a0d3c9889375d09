import type { Readable, Writable } from 'node:stream';
import { ATTENDANCE_TIMING, type AttendanceTiming } from './attendance.ts';
import { containerState, type Target } from './container-state.ts';
import type { ChannelEnd } from './data-channel.ts';
import { AccessDeniedError, ContainerGoneError, SessionRefusedError, StartError } from './errors.ts';
import type { TerminalSize } from './messages.ts';
import { type Clients, ecsExecClients, type OpenedChannel, openChannel } from './session.ts';
import { type Resolvers, withResolvers, withTimeout } from './timers.ts';

/** EOT, in ASCII. */
const END_OF_INPUT = '\u0004';

/** A terminal's two ends, such as `process.stdin` and `process.stdout`. */
export interface InteractiveOptions extends Target {
  /** The command line, which no shell reads: words as google/shlex splits them. @default sh */
  command?: string;
  /** @default {@link ecsExecClients} for the environment's region and credentials */
  clients?: Clients;
  /** Keys as they are typed: a terminal is put into raw mode for it. Its end is typed as Ctrl-D. */
  input: Readable & { isTTY?: boolean; setRawMode?: (raw: boolean) => unknown };
  /** Its size is told to the container, and told anew when it changes. */
  output: Writable & { columns?: number; rows?: number };
  /** Ends the session. */
  signal?: AbortSignal;
  /** Intervals and patience, for those who know why. @default what the agent needs */
  timing?: Partial<Pick<AttendanceTiming, 'watchAfter'>>;
}

/**
 * A terminal in a container for a person, as `aws ecs execute-command` with AWS's plugin gives it. What it runs has
 * no exit code: ECS Exec tells none. Fulfilled when the session has ended.
 *
 * @throws EcsExecError if the session cannot be opened: one class per cause
 * @throws ContainerGoneError if the container stops meanwhile, which nobody announces
 * @throws the signal's reason, after the session was ended
 */
export async function interactiveSession(options: InteractiveOptions): Promise<void> {
  const { input, output, signal, command = 'sh', clients = ecsExecClients(), timing } = options;
  const { cluster, task, container } = options;
  signal?.throwIfAborted();
  let ended = withResolvers<ChannelEnd>();
  const size = sizeOf(output);
  const target = { cluster, task, container };
  const opened = await openChannel(clients, target, command, {
    ...(size && { size }),
    onOutput: (bytes) => output.write(bytes),
    onEnd: (end) => ended.resolve(end),
  });
  const onInput = (bytes: Buffer | string) => opened.channel.send(Buffer.from(bytes));
  // As Ctrl-D on an empty line: what reads the terminal there knows no other end of it.
  const onInputEnd = () => opened.channel.send(Buffer.from(END_OF_INPUT));
  const onResize = () => {
    const size = sizeOf(output);
    if (size !== undefined) opened.channel.resize(size);
  };
  const onAbort = () => void opened.terminate().finally(() => opened.channel.close());
  if (input.isTTY) input.setRawMode?.(true);
  input.on('data', onInput);
  input.on('end', onInputEnd);
  output.on('resize', onResize);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    for (;;) {
      const end = await endOf(opened, ended, clients, target, timing);
      signal?.throwIfAborted();
      ended = withResolvers();
      if (end.cause === 'cut' && (await opened.resume())) continue;
      throwUnlessOrderly(end);
      return;
    }
  } finally {
    input.off('data', onInput);
    input.off('end', onInputEnd);
    input.pause();
    output.off('resize', onResize);
    signal?.removeEventListener('abort', onAbort);
    if (input.isTTY) input.setRawMode?.(false);
    opened.channel.close();
  }
}

/** Waits for the session's end; while nothing comes, asks ECS now and then whether the container still is. */
async function endOf(
  { channel }: OpenedChannel,
  ended: Resolvers<ChannelEnd>,
  { ecs }: Clients,
  target: Target,
  { watchAfter = ATTENDANCE_TIMING.watchAfter }: InteractiveOptions['timing'] = {},
): Promise<ChannelEnd> {
  for (;;) {
    const end = await withTimeout(ended.promise, watchAfter);
    if (end !== undefined) return end;
    if (channel.silentFor < watchAfter) continue;
    // Not known now, if it fails: asked again.
    const state = await containerState(ecs, target).catch(() => undefined);
    if (state?.state === 'gone')
      throw new ContainerGoneError(
        `Container ${target.container} of task ${target.task} went away: ${state.reason}.`,
      );
  }
}

function sizeOf({ columns, rows }: { columns?: number; rows?: number }): TerminalSize | undefined {
  return columns && rows ? { columns, rows } : undefined;
}

function throwUnlessOrderly(end: ChannelEnd): void {
  switch (end.cause) {
    case 'closed':
      if (end.failure !== '') throw new SessionRefusedError(`The session was ended: ${end.failure}`);
      return;
    case 'handshake-failed':
      throw end.error;
    case 'refused':
      throw new AccessDeniedError(
        `Session Manager refused to open the session's data channel with ${end.status}: ${end.detail}. The caller needs ssmmessages:OpenDataChannel on it.`,
      );
    case 'cut':
      throw new StartError(`The connection to the session broke: ${end.detail}.`);
    case 'left':
  }
}
