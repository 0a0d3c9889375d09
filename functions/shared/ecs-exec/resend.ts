/** How often both ends look for a message to send again, in milliseconds. */
export const RESEND_INTERVAL = 100;

/**
 * The sent messages that have not been acknowledged, and when the oldest of them is due again. Timing as in AWS's
 * agent (agent/session/datachannel), after RFC 6298: only the oldest is ever sent again.
 */
export class ResendQueue {
  /** Milliseconds from a sending until it counts as lost. */
  timeout = INITIAL_TIMEOUT;
  #roundTrip = INITIAL_ROUND_TRIP;
  #variation = 0;
  readonly #waiting = new Map<number, { bytes: Uint8Array; sentAt: number }>();
  readonly #capacity: number;

  /** @param capacity messages kept; what is sent beyond is sent once only, as the agent does. */
  constructor(capacity = Number.POSITIVE_INFINITY) {
    this.#capacity = capacity;
  }

  /** Messages without an acknowledgement. */
  get size(): number {
    return this.#waiting.size;
  }

  /** To be called before the message is sent: an acknowledgement can come at once. */
  add(sequenceNumber: number, bytes: Uint8Array, now: number): void {
    if (this.#waiting.size < this.#capacity) this.#waiting.set(sequenceNumber, { bytes, sentAt: now });
  }

  acknowledge(sequenceNumber: number, now: number): void {
    const message = this.#waiting.get(sequenceNumber);
    if (message === undefined) return;
    this.#waiting.delete(sequenceNumber);
    this.#measure(now - message.sentAt);
  }

  /** The oldest message, if it is time to send it again. */
  due(now: number): Uint8Array | undefined {
    const [oldest] = this.#waiting.values();
    if (oldest === undefined || now - oldest.sentAt <= this.timeout) return undefined;
    oldest.sentAt = now;
    return oldest.bytes;
  }

  #measure(roundTrip: number): void {
    this.#variation += (Math.abs(this.#roundTrip - roundTrip) - this.#variation) * VARIATION_GAIN;
    this.#roundTrip += (roundTrip - this.#roundTrip) * ROUND_TRIP_GAIN;
    const timeout = this.#roundTrip + Math.max(CLOCK_GRANULARITY, 4 * this.#variation);
    this.timeout = Math.min(timeout, LONGEST_TIMEOUT);
  }
}

// Milliseconds, and gains: agent/session/config/config.go of amazon-ssm-agent.
const INITIAL_TIMEOUT = 200;
const INITIAL_ROUND_TRIP = 100;
const LONGEST_TIMEOUT = 1_000;
const CLOCK_GRANULARITY = 10;
const ROUND_TRIP_GAIN = 1 / 8;
const VARIATION_GAIN = 1 / 4;
