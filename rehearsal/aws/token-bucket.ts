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
  readonly #rateOf: (region: string) => BucketRate;
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  /** @param rate that of all regions, or by region */
  constructor(clock: Pick<Clock, 'now'>, rate: BucketRate | ((region: string) => BucketRate)) {
    this.#clock = clock;
    this.#rateOf = typeof rate === 'function' ? rate : () => rate;
  }

  /** @throws AwsError `ThrottlingException` if the bucket is empty */
  take(place: Place): void {
    const bucket = this.#filled(place);
    if (bucket.tokens < 1) {
      this.refused += 1;
      throw new AwsError('ThrottlingException', 'Rate exceeded');
    }
    bucket.tokens -= 1;
  }

  /** Takes a token that is yet to come, where there is none. @returns milliseconds until it is there */
  takeLater(place: Place): number {
    const bucket = this.#filled(place);
    bucket.tokens -= 1;
    if (bucket.tokens >= 0) return 0;
    return Math.ceil((-bucket.tokens / this.#rateOf(place.region).perSecond) * 1000);
  }

  #filled({ account, region }: Place) {
    const { burst, perSecond } = this.#rateOf(region);
    const now = this.#clock.now();
    const key = `${account} ${region}`;
    const bucket = this.#buckets.get(key) ?? { tokens: burst, at: now };
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) / 1000) * perSecond);
    bucket.at = now;
    this.#buckets.set(key, bucket);
    return bucket;
  }

  /** Empties them, as other callers of the account would, who go on for so many milliseconds. */
  drain(milliseconds = 0): void {
    const at = this.#clock.now() + milliseconds;
    for (const bucket of this.#buckets.values()) Object.assign(bucket, { tokens: 0, at });
  }
}
