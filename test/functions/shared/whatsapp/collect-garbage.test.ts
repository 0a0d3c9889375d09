import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { SQSClient } from '@aws-sdk/client-sqs';
import { collectGarbage } from '../../../../functions/shared/whatsapp/collect-garbage.ts';
import { gcResult } from '../../../../functions/shared/whatsapp/gc-result.ts';
import { SINGLE_INSTANCE } from '../../../../functions/shared/whatsapp/nodes.ts';
import type { GcSettings } from '../../../../functions/shared/whatsapp/settings.ts';
import type { WebApp } from '../../../../functions/shared/whatsapp/web-app.ts';
import { seededRandom } from '../../../../rehearsal/aws/seeded-random.ts';

const START = Date.UTC(2027, 0, 11, 3);
const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** What a node does of one request: after how many minutes it is done, and what it says then. */
interface Work {
  minutes: number;
  status: 'complete' | 'failed';
  deleted: number;
}

/** A message in the queue, and until when it is hidden. */
interface Queued {
  body: string;
  sent: number;
  visibleAt: number;
}

/** A client of one node behind a bus and a queue, on a time of its own. */
class Played {
  now = START;
  readonly requests: Work[] = [];
  queue: Queued[] = [];
  #timers: { at: number; work: () => void }[] = [];
  #events = 0;
  readonly #next: (number: number) => Work;
  /** What happens of a callback, by the number of its request. */
  onDone: (number: number, said: () => object) => void = (_, said) => this.put(said());

  constructor(next: (number: number) => Work) {
    this.#next = next;
  }

  after(milliseconds: number, work: () => void): void {
    this.#timers.push({ at: this.now + milliseconds, work });
  }

  pass(milliseconds: number): void {
    const until = this.now + milliseconds;
    for (;;) {
      const [timer] = this.#timers.sort((one, other) => one.at - other.at);
      if (!timer || timer.at > until) break;
      this.#timers.shift();
      this.now = Math.max(this.now, timer.at);
      timer.work();
    }
    this.now = until;
  }

  /** Puts an event on the bus, which delivers it after so long, each time. */
  put(detail: object, deliveries: number[] = [SECOND]): void {
    this.#events += 1;
    const time = `${new Date(this.now).toISOString().slice(0, 19)}Z`;
    const body = JSON.stringify({ id: `event-${this.#events}`, time, resources: ['shop'], detail });
    for (const later of deliveries)
      this.after(later, () => this.queue.push({ body, sent: this.now, visibleAt: this.now }));
  }

  ask(): void {
    const number = this.requests.length + 1;
    const work = this.#next(number);
    this.requests.push(work);
    const { status, deleted } = work;
    const errors =
      status === 'failed' ? [{ code: 1014, details: 'Could not delete all messages' }] : undefined;
    this.after(work.minutes * MINUTE, () =>
      this.onDone(number, () => ({
        services: [{ message: { gc: { messages_deleted: deleted, status, errors } } }],
      })),
    );
  }

  /** SQS's answers to what the functions ask. */
  answer(input: Record<string, unknown>): object {
    this.pass(100);
    const handles = ((input.Entries ?? []) as { ReceiptHandle: string }[]).map(
      (entry) => entry.ReceiptHandle,
    );
    if (input.MaxNumberOfMessages === undefined) {
      this.queue = this.queue.filter(({ body, sent }) => !handles.includes(`${sent} ${body}`));
      return {};
    }
    const given = this.queue.filter(({ visibleAt }) => visibleAt <= this.now).slice(0, 10);
    for (const one of given) one.visibleAt = this.now + Number(input.VisibilityTimeout) * SECOND;
    return {
      Messages: given.map(({ body, sent }) => ({
        Body: body,
        ReceiptHandle: `${sent} ${body}`,
        Attributes: { SentTimestamp: String(sent) },
      })),
    };
  }

  async run(maximumCalls = 3) {
    const settings: GcSettings = {
      deployment: 'shop',
      webApp: { url: 'https://webapp.internal', certificateAuthority: '', secretArn: '' },
      notificationsQueueUrl: 'queue',
      gc: { maximumCalls, pauseSeconds: 60, callbackTimeoutSeconds: 20 * 60 },
    };
    const webApp = {
      collectGarbage: async () => {
        this.ask();
        return { began: [SINGLE_INSTANCE], refused: [] };
      },
      certificate: () => undefined,
    } as unknown as WebApp;
    const context = {
      executionContext: { durableExecutionArn: 'arn' },
      step: async (_name: string, work: () => Promise<unknown>) => {
        this.pass(50);
        return work();
      },
      wait: async (_name: string, { seconds }: { seconds: number }) => this.pass(seconds * SECOND),
      waitForCondition: async <State>(
        _name: string,
        look: (state: State) => Promise<State>,
        { initialState, waitStrategy }: WaitFor<State>,
      ) => {
        let state = initialState;
        for (let attempt = 1; ; attempt++) {
          state = await look(state);
          const { shouldContinue, delay } = waitStrategy(state, attempt);
          if (!shouldContinue) return state;
          this.pass((delay?.seconds ?? 0) * SECOND);
        }
      },
    } as unknown as DurableContext;
    const collected = await collectGarbage('message', settings, START + 120 * MINUTE, context, (_, work) =>
      work(webApp),
    );
    return gcResult('message', settings, collected);
  }
}

interface WaitFor<State> {
  initialState: State;
  waitStrategy(state: State, attempt: number): { shouldContinue: boolean; delay?: { seconds: number } };
}

/** The client of which the mocks tell. */
let played: Played;

/** Of nodes that work off these, one for each request. */
function play(...works: Work[]): Played {
  played = new Played((number) => works[Math.min(number, works.length) - 1] as Work);
  return played;
}

const failed = (deleted: number, minutes = 2): Work => ({ minutes, status: 'failed', deleted });
const complete = (deleted: number, minutes = 2): Work => ({ minutes, status: 'complete', deleted });

describe('a callback that comes more than once', () => {
  beforeEach(() => {
    mock.method(Date, 'now', () => played.now);
    mock.method(SQSClient.prototype, 'send', async ({ input }: { input: Record<string, unknown> }) =>
      played.answer(input),
    );
    mock.method(LambdaClient.prototype, 'send', async () => ({ DurableExecutions: [] }));
  });
  afterEach(() => mock.restoreAll());

  it('as the same event, delivered after the next request was made, counts once', async () => {
    const client = play(failed(500), complete(7, 15));
    client.onDone = (number, said) => client.put(said(), number === 1 ? [SECOND, 5 * MINUTE] : [SECOND]);
    const { outcome, figures, problems } = await client.run();
    assert.deepEqual(
      [outcome, figures],
      ['succeeded', { calls: 2, messagesDeleted: 507, notificationsIgnored: 1 }],
    );
    assert.deepEqual(problems, []);
  });

  it('late, of an event from before the request, answers nothing', async () => {
    const client = play(complete(7, 10));
    client.put({ services: [{ message: { gc: { messages_deleted: 900, status: 'complete' } } }] }, [
      5 * MINUTE,
    ]);
    client.pass(2 * MINUTE);
    const { outcome, figures } = await client.run();
    assert.deepEqual(
      [outcome, figures],
      ['succeeded', { calls: 1, messagesDeleted: 7, notificationsIgnored: 1 }],
    );
  });

  it('as the client sends it again after the next request, may have been counted twice, and is told so', async () => {
    const client = play(failed(500), complete(7, 15));
    client.onDone = (number, said) => {
      client.put(said());
      if (number === 1) client.after(5 * MINUTE, () => client.put(said()));
    };
    const { figures, problems } = await client.run();
    const { messagesDeleted = 0, messagesPerhapsCountedTwice = 0 } = figures;
    assert.equal(messagesPerhapsCountedTwice, 500);
    assert.equal(messagesDeleted - messagesPerhapsCountedTwice, 507);
    assert.match(
      problems[0]?.what ?? '',
      /just like the answer to an earlier request of this run \(failed, 500 deleted\).* may have these 500 twice\.$/,
    );
  });

  it('saying complete, is no success until another request is answered otherwise', async () => {
    const client = play(complete(500), complete(7, 15));
    const other = { services: [{ message: { gc: { messages_deleted: 1, status: 'failed' } } }] };
    client.onDone = (number, said) => {
      client.put(said());
      // Which of two that differ answered the first request cannot be told: it is asked again.
      if (number === 1) client.put(other);
      if (number === 1) client.after(5 * MINUTE, () => client.put(said()));
    };
    const { outcome, problems } = await client.run(2);
    assert.equal(outcome, 'partial');
    assert.match(JSON.stringify(problems), /may have these 500 twice, and that it is no success/);
  });

  it('in the pause after a request that had none, counts for that request, and ends the run', async () => {
    const client = play(complete(500, 20.5));
    const { outcome, figures } = await client.run();
    assert.deepEqual([outcome, figures.calls, figures.messagesDeleted], ['succeeded', 1, 500]);
  });

  it('or late, or twice on the bus, in twenty nights drawn at random: no number is higher or lower than the truth without a word', async () => {
    for (let night = 1; night <= 20; night++) {
      const random = seededRandom(`night ${night}`);
      const until = (most: number) => Math.floor(random() * most);
      const portion = 1000 * (1 + until(3));
      const client = play(
        ...Array.from({ length: 1 + until(3) }, () => failed(portion, 1 + until(9))),
        complete(until(portion), 1 + until(9)),
      );
      client.onDone = (_, said) => {
        client.put(said(), random() < 0.3 ? [SECOND, until(30 * MINUTE)] : [until(3 * MINUTE)]);
        if (random() < 0.3) client.after(until(15 * MINUTE), () => client.put(said()));
      };
      const { figures, problems } = await client.run(4);
      const truth = client.requests.reduce((sum, { deleted }) => sum + deleted, 0);
      const { messagesDeleted = 0, messagesPerhapsCountedTwice = 0 } = figures;
      const told = `night ${night}: ${messagesDeleted} of ${truth}; ${problems.map(({ what }) => what).join(' ')}`;
      if (/they differ/.test(told)) continue;
      assert.ok(messagesDeleted - messagesPerhapsCountedTwice <= truth, told);
      assert.ok(messagesDeleted >= truth || /No callback/.test(told), told);
    }
  });
});
