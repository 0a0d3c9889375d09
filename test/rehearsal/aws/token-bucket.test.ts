import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TokenBuckets } from '../../../rehearsal/aws/token-bucket.ts';

test('a bucket gives as many as it holds, and then as many as come in, to each account and region its own', () => {
  let now = 0;
  const buckets = new TokenBuckets({ now: () => now }, { burst: 100, perSecond: 20 });
  const place = { account: '111111111111', region: 'eu-central-1' };
  const taken = (calls: number, from = place) =>
    Array.from({ length: calls }, () => {
      try {
        buckets.take(from);
        return 1;
      } catch {
        return 0;
      }
    }).reduce<number>((sum, one) => sum + one, 0);
  assert.equal(taken(150), 100);
  now += 2_000;
  assert.equal(taken(100), 40);
  assert.equal(taken(150, { ...place, region: 'eu-west-1' }), 100);
  now += 3_600_000;
  assert.equal(taken(150), 100);
  now += 3_600_000;
  buckets.drain();
  assert.equal(taken(1), 0);
});
