import type { CommandResult } from './command-result.ts';
import { execute } from './execute-command.ts';
import { HandOver } from './hand-over.ts';
import type { Any, AnyOptions } from './run.ts';
import type { ByteOptions, ExecuteOptions, TextOptions } from './run-options.ts';

/** What a command prints, as it comes, and how it ends. */
export interface CommandStream<Content extends Any = string> extends AsyncIterable<Content> {
  /** Settled as {@link executeCommand} would be; rejected if the iteration was broken off. */
  result: Promise<CommandResult<Content>>;
}

/**
 * Runs a command in a container, to be iterated over: `for await (const text of streamCommand(…))`. Whoever is slow
 * holds up the reading, not the command, and misses nothing. Breaking off the iteration stops the command.
 *
 * To be iterated over before `result` is waited for. The iteration throws what {@link executeCommand} throws.
 */
export function streamCommand(options: Omit<ExecuteOptions & ByteOptions, 'sink'>): CommandStream<Uint8Array>;
export function streamCommand(options: Omit<ExecuteOptions & TextOptions, 'sink'>): CommandStream;
export function streamCommand(options: Omit<ExecuteOptions & AnyOptions, 'sink'>): CommandStream<Any> {
  const pieces = new HandOver<Any>();
  const broken = new AbortController();
  const signal = AbortSignal.any([broken.signal, ...(options.signal ? [options.signal] : [])]);
  const sink = (piece: Any) => pieces.give(piece);
  const result = execute({ ...options, signal, sink } as ExecuteOptions & AnyOptions, {
    sinkPatience: Number.POSITIVE_INFINITY,
  });
  // Whoever iterates learns it there.
  void result.catch(() => {}).then(() => pieces.end());
  async function* iterate(): AsyncGenerator<Any, void> {
    try {
      yield* pieces;
      await result;
    } finally {
      broken.abort(new Error('The iteration was broken off.'));
      pieces.end();
      await result.catch(() => {});
    }
  }
  const iteration = iterate();
  return { result, [Symbol.asyncIterator]: () => iteration };
}
