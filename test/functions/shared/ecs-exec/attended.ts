import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  Conversation,
  type Question,
  type Reply,
  type RunState,
} from '../../../../functions/shared/ecs-exec/conversation.ts';
import type { Container } from '../../../../rehearsal/aws/containers/container.ts';
import type { Terminal } from '../../../../rehearsal/aws/containers/terminal.ts';
import { splitCommand } from '../../../../rehearsal/aws/session-manager/shlex.ts';

/** A session with the wrapper, as the agent would start it. */
export class Attended {
  readonly #terminal: Terminal;
  readonly #conversation: Conversation;
  readonly #output: Buffer[] = [];
  #startAsked = false;
  #next = 0;

  constructor(container: Container, commandLine: string, searchPath?: string) {
    this.#conversation = new Conversation();
    const argv = splitCommand(commandLine);
    const environment = searchPath === undefined ? {} : { PATH: searchPath };
    this.#terminal = container.startInTerminal(argv, (bytes) => this.#conversation.take(bytes), environment);
    this.#terminal.resume();
  }

  get closed(): Promise<void> {
    return this.#terminal.closed;
  }

  get output(): string {
    return this.bytes.toString();
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#output);
  }

  /** Asks; before the first question, to start the command if there is one. `more` is what there is behind what we have. */
  async ask(question: Question | 'more'): Promise<RunState> {
    if (!this.#startAsked) {
      this.#startAsked = true;
      await this.#asked({ start: 'f00d'.repeat(8) });
    }
    const {
      size: _,
      next: __,
      ...state
    } = await this.#asked(question === 'more' ? { more: this.#next, count: 65_536 } : question);
    return state;
  }

  /** Asks, and gives the whole answer. */
  async reply(question: Question): Promise<Reply> {
    return await this.#asked(question);
  }

  async #asked(question: Question): Promise<Reply> {
    const { line, answer } = this.#conversation.ask(question, (bytes) =>
      this.#output.push(Buffer.from(bytes)),
    );
    this.#terminal.write(line);
    const reply = await answer;
    if (typeof question === 'object' && 'more' in question) this.#next = reply.next ?? this.bytes.length;
    return reply;
  }

  /** Asks until the run has another state than `absent` and `running`. */
  async toItsEnd(): Promise<RunState> {
    for (;;) {
      const state = await this.ask('more');
      if (state.run !== 'running' && state.run !== 'absent') return state;
      await sleep(10);
    }
  }

  async until(run: RunState['run']): Promise<void> {
    while ((await this.ask('state')).run !== run) await sleep(10);
  }

  async forget(): Promise<void> {
    assert.deepEqual(await this.ask('forget'), { run: 'forgotten' });
    await this.#terminal.closed;
  }

  /** As a session ends by TerminateSession, or by its terminal's end alone. */
  cut(how: 'kill' | 'hang-up'): void {
    if (how === 'kill') this.#terminal.killChild();
    this.#terminal.hangUp();
  }
}
