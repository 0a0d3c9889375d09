import type { Cloud } from '../cloud.ts';
import type { Queue } from './queue.ts';

interface Count {
  queue: Queue;
  name: string;
  time: number;
}

/**
 * What SQS counts, such as messages that were sent. It has CloudWatch know once a minute (developer guide, "Monitoring Amazon SQS
 * queues using CloudWatch", November 2026), here of the minute before the last one: a letter is never known before what
 * Lambda and its event's receiver say of the run in the same second.
 */
export class Counts {
  readonly #aws: Cloud;
  #ofLastMinute: Count[] = [];
  #ofThisMinute: Count[] = [];

  constructor(aws: Cloud) {
    this.#aws = aws;
  }

  add(queue: Queue, name: string): void {
    this.#ofThisMinute.push({ queue, name, time: this.#aws.clock.now() });
  }

  /** Each minute. */
  publish(): void {
    for (const { queue, name, time } of this.#ofLastMinute)
      this.#aws.cloudWatch.put(queue.resource, 'AWS/SQS', name, { QueueName: queue.name }, 1, time);
    this.#ofLastMinute = this.#ofThisMinute;
    this.#ofThisMinute = [];
  }
}
