import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  OutputKeeper,
  outputText,
  SinkFeeder,
  textDecoder,
} from '../../../../functions/shared/ecs-exec/output.ts';

describe('kept output', () => {
  it('is whole if it fits, however it came', () => {
    const keeper = new OutputKeeper({ head: 4, tail: 4 });
    for (const byte of Buffer.from('größe')) keeper.take(Buffer.from([byte]));
    assert.deepEqual(keeper.text(), { head: 'größe', tail: '', omittedBytes: 0, totalBytes: 7 });
  });

  it('is head and tail with the middle counted, and no character cut in two', () => {
    const keeper = new OutputKeeper({ head: 4, tail: 4 });
    keeper.take(Buffer.from('abcéABCDEFé✓'));
    const output = keeper.text();
    assert.deepEqual(output, { head: 'abc', tail: '✓', omittedBytes: 10, totalBytes: 16 });
    assert.equal(outputText(output), 'abc\n[… 10 bytes left out …]\n✓');
  });

  it('adds up, whatever the limits and pieces', () => {
    fc.assert(
      fc.property(
        fc.nat(50),
        fc.nat(50),
        fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 20 }),
        (head, tail, pieces) => {
          const keeper = new OutputKeeper({ head, tail });
          for (const piece of pieces) keeper.take(piece);
          const all = Buffer.concat(pieces);
          const kept = keeper.bytes();
          assert.equal(kept.head.length + kept.tail.length + kept.omittedBytes, all.length);
          assert.ok(all.subarray(0, kept.head.length).equals(kept.head));
          assert.ok(all.subarray(all.length - kept.tail.length).equals(kept.tail));
          assert.ok(kept.omittedBytes === 0 || kept.head.length + kept.tail.length === head + tail);
        },
      ),
    );
  });
});

describe('a sink', () => {
  it('gets text whole, although pieces end inside characters', async () => {
    const pieces: string[] = [];
    const feeder = new SinkFeeder((piece: string) => {
      pieces.push(piece);
    }, textDecoder());
    for (const byte of Buffer.from('grö✓🙂')) {
      feeder.take(Buffer.from([byte]));
      await new Promise(setImmediate);
    }
    await feeder.finish();
    assert.equal(pieces.join(''), 'grö✓🙂');
    assert.ok(pieces.every((piece) => !piece.includes('\ufffd')));
  });

  it('misses what it falls too far behind by, and that is counted', async () => {
    const begun = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    const pieces: Uint8Array[] = [];
    const feeder = new SinkFeeder(
      async (piece: Uint8Array) => {
        pieces.push(piece);
        begun.resolve();
        await released.promise;
      },
      (bytes) => bytes,
      10,
    );
    feeder.take(Buffer.from('first'));
    await begun.promise;
    feeder.take(Buffer.from('12345678'));
    feeder.take(Buffer.from('too much'));
    feeder.take(Buffer.from('90'));
    released.resolve();
    await feeder.finish();
    assert.equal(Buffer.concat(pieces).toString(), 'first1234567890');
    assert.equal(feeder.skippedBytes, 8);
  });

  it('that fails gets nothing more', async () => {
    let calls = 0;
    const feeder = new SinkFeeder<Uint8Array>(
      () => {
        calls += 1;
        throw new Error('broken pipe');
      },
      (bytes) => bytes,
    );
    feeder.take(Buffer.from('a'));
    await feeder.finish();
    feeder.take(Buffer.from('bc'));
    await feeder.finish();
    assert.equal(calls, 1);
    assert.equal(feeder.skippedBytes, 2);
    assert.match(String(feeder.failure), /broken pipe/);
  });
});
