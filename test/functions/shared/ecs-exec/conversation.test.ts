import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Conversation } from '../../../../functions/shared/ecs-exec/conversation.ts';

describe('a conversation over a terminal', () => {
  it('finds answer and output between echo and others, in pieces of any size', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 400 }),
        fc.array(fc.integer({ min: 1, max: 60 })),
        async (bytes, cuts) => {
          const { conversation, output, nonce, answer, line } = asked();
          const written = Buffer.from(bytes);
          const terminal = Buffer.concat([
            Buffer.from('motd\r\nsh: no job control\r\n'),
            Buffer.from(line.toString().replace('\n', '\r\n')),
            asTerminal(
              Buffer.concat([
                Buffer.from(`\n${nonce}:raw 5\n`),
                written,
                Buffer.from(`\n${nonce}:17 12 exit 3\n`),
              ]),
            ),
            Buffer.from('stray\r\n'),
          ]);
          for (const piece of pieces(terminal, cuts)) conversation.take(piece);
          assert.deepEqual(await answer, { run: 'exited', exitCode: 3, size: 17, next: 12 });
          assert.ok(Buffer.concat(output).equals(written));
        },
      ),
    );
  });

  for (const encoding of ['base64', 'hex'] as const) {
    it(`decodes ${encoding} in lines, in pieces of any size`, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.uint8Array({ maxLength: 400 }),
          fc.array(fc.integer({ min: 1, max: 60 })),
          async (bytes, cuts) => {
            const { conversation, output, nonce, answer } = asked();
            const written = Buffer.from(bytes);
            const digits = written
              .toString(encoding)
              .replace(encoding === 'hex' ? /.{2}/g : /.{76}/g, encoding === 'hex' ? ' $&' : '$&\n');
            const terminal = asTerminal(
              Buffer.from(`\n${nonce}:${encoding} 5\n${digits}\n\n${nonce}:17 12 running\n`),
            );
            for (const piece of pieces(terminal, cuts)) conversation.take(piece);
            assert.deepEqual(await answer, { run: 'running', size: 17, next: 12 });
            assert.ok(Buffer.concat(output).equals(written));
          },
        ),
      );
    });
  }

  it('takes no answer for another question, and none that only looks like one', async () => {
    const { conversation, output, nonce, answer } = asked();
    const other = '0'.repeat(32);
    conversation.take(
      Buffer.from(`\r\n${other}:raw\r\nx\r\n${other}:exit 0\r\n ${nonce}:exit 0\r\n${nonce} exit 0\r\n`),
    );
    conversation.take(
      Buffer.from(`\r\n${nonce}:raw 5\r\n${other}:exit 0\r\n${nonce}exit 0\r\n\r\n${nonce}:- - died\r\n`),
    );
    assert.deepEqual(await answer, { run: 'died', size: undefined, next: undefined });
    assert.equal(Buffer.concat(output).toString(), `${other}:exit 0\n${nonce}exit 0\n`);
  });
});

function asked() {
  const output: Buffer[] = [];
  const places: number[] = [];
  const conversation = new Conversation();
  const { line, answer } = conversation.ask({ more: 5, count: 4_096 }, (bytes, place) => {
    output.push(Buffer.from(bytes));
    places.push(place);
  });
  assert.match(line.toString(), /^[0-9a-f]{32} more 5 4096\n$/);
  return { conversation, output, places, line, answer, nonce: line.toString().slice(0, 32) };
}

/** What a terminal makes of bytes: a CR before each LF. */
function asTerminal(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString('latin1').replaceAll('\n', '\r\n'), 'latin1');
}

function pieces(bytes: Buffer, cuts: number[]): Buffer[] {
  const found: Buffer[] = [];
  let at = 0;
  for (const length of cuts) {
    found.push(bytes.subarray(at, at + length));
    at += length;
  }
  return [...found, bytes.subarray(at)];
}
