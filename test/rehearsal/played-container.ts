import { randomBytes } from 'node:crypto';
import type { TaskContainer } from '../../rehearsal/aws/containers/container.ts';
import type { Terminal } from '../../rehearsal/aws/containers/terminal.ts';

/** How a command ends. */
export interface PlayedEnd {
  exitCode: number;
  output: string;
}

/**
 * A container in which no process runs, so that thousands fit into a machine: it answers the wrapper's questions
 * (functions/shared/ecs-exec/wrapper.ts) as if each command ended as soon as it was started.
 */
export class PlayedContainer implements TaskContainer {
  readonly runtimeId = `${randomBytes(16).toString('hex')}-0123456789`;
  readonly stopped: Promise<void>;
  agentRunning = true;
  readonly lacks = new Set<string>();
  address: string | undefined;
  running = true;
  /** Commands that were started. */
  starts = 0;
  readonly name: string;
  readonly #endOf: (words: string[]) => PlayedEnd;
  /** By run id. */
  readonly #ends = new Map<string, PlayedEnd>();
  readonly #onSessions: (change: 1 | -1) => void;
  readonly #stop: () => void;

  /**
   * @param endOf how a command ends, of which the words are given
   * @param onSessions is told of each session that begins and ends
   */
  constructor(
    name: string,
    endOf: (words: string[]) => PlayedEnd,
    onSessions: (change: 1 | -1) => void = () => {},
  ) {
    this.name = name;
    this.#endOf = endOf;
    this.#onSessions = onSessions;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.stopped = promise;
    this.#stop = resolve;
  }

  startInTerminal([, , script = '', , ...words]: string[], onOutput: (bytes: Buffer) => void): Terminal {
    const [, runId = ''] = /^ee_i=ecs-exec-(\S+)$/m.exec(script) ?? [];
    const { promise: closed, resolve: close } = Promise.withResolvers<void>();
    const say = (text: string) => onOutput(Buffer.from(text.replaceAll('\n', '\r\n')));
    let typed = '';
    let begun = false;
    this.#onSessions(1);
    void closed.then(() => this.#onSessions(-1));
    return {
      pid: 0,
      closed,
      write: (input) => {
        const lines = (typed + Buffer.from(input).toString()).split('\n');
        typed = lines.pop() ?? '';
        for (const line of lines) {
          say(this.#answer(runId, line.split(' '), words));
          if (/^\S+ (forget|leave)/.test(line)) close();
        }
      },
      resize: () => {},
      pause: () => {},
      resume: () => {
        if (!begun) say('ecs-exec\n');
        begun = true;
      },
      killChild: () => {},
      hangUp: close,
    };
  }

  async kill(): Promise<void> {
    this.running = false;
    this.#stop();
  }

  #answer(runId: string, [nonce, question, place = '0', count = '0']: string[], words: string[]): string {
    if (question === 'start' && !this.#ends.has(runId)) {
      this.starts += 1;
      this.#ends.set(runId, this.#endOf(words));
    }
    const end = this.#ends.get(runId);
    const output = Buffer.from(end?.output ?? '');
    const from = Number(place);
    const asked = question === 'more' ? output.subarray(from, from + Number(count)) : Buffer.alloc(0);
    if (question === 'forget') this.#ends.delete(runId);
    const state = end === undefined ? 'absent' : question === 'forget' ? 'forgotten' : `exit ${end.exitCode}`;
    const size = end === undefined ? '-' : output.length;
    return `\n${nonce}:raw ${from}\n${asked}\n${nonce}:${size} ${from + asked.length} ${state}\n`;
  }
}
