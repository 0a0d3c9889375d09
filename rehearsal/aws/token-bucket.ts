import { AwsError } from './aws-error.ts';
import type { Clock } from './clock.ts';
import type { Place } from './place.ts';

/** How often calls may be made, in each account and region. */
export interface BucketRate {
  /** Calls at once after a pause. */
  burst: number;
  perSecond: number;
}

/** Throttles calls as AWS does: by buckets of tokens that fill up with time. */
export class TokenBuckets {
  /** Calls that found their bucket empty. */
  refused = 0;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #rate: BucketRate;
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  constructor(clock: Pick<Clock, 'now'>, rate: BucketRate) {
    this.#clock = clock;
    this.#rate = rate;
  }

  /** @throws AwsError `ThrottlingException` if the bucket is empty */
  take({ account, region }: Place): void {
    const { burst, perSecond } = this.#rate;
    const now = this.#clock.now();
    const key = `${account} ${region}`;
    const bucket = this.#buckets.get(key) ?? { tokens: burst, at: now };
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) / 1000) * perSecond);
    bucket.at = now;
    this.#buckets.set(key, bucket);
    if (bucket.tokens < 1) {
      this.refused += 1;
      throw new AwsError('ThrottlingException', 'Rate exceeded');
    }
    bucket.tokens -= 1;
  }

  /** Empties them, as other callers of the account would. */
  drain(): void {
    const at = this.#clock.now();
    for (const bucket of this.#buckets.values()) Object.assign(bucket, { tokens: 0, at });
  }
}
