import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { InvalidCommandError } from '../../../../functions/shared/ecs-exec/errors.ts';
import { quote, type WrapperOptions, wrap } from '../../../../functions/shared/ecs-exec/wrapper.ts';
import { splitCommand } from '../../../../rehearsal/aws/session-manager/shlex.ts';
import { Attended } from './attended.ts';
import { containerWithShells, SHELLS } from './shells.ts';

describe("the wrapper's command line", () => {
  it('says any words so that the agent and a shell take them literally, and no parameter of SSM', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme', maxLength: 60 })), (words) => {
        const usable = words.filter((word) => !word.includes('\0'));
        const line = usable.map(quote).join(' ');
        assert.deepEqual(splitCommand(line), usable);
        assert.ok(!line.includes('{{'));
      }),
    );
  });

  it('has no parameter of SSM in it, and is short enough to be read', () => {
    const line = wrap({ runId: 'r', command: ['echo', '{{ssm:x}}'], transport: 'bytes' });
    assert.ok(!line.includes('{{'));
    assert.ok(line.length < 10_000, `${line.length} bytes`);
    assert.deepEqual(splitCommand(line).slice(0, 2), ['sh', '-c']);
    assert.deepEqual(splitCommand(line).slice(3), ['ecs-exec', 'echo', '{{ssm:x}}']);
  });

  it('carries any arguments through the agent, the shell and the terminal', {
    skip: SHELLS[1]?.skip,
  }, async () => {
    const container = await containerWithShells();
    try {
      await fc.assert(
        fc.asyncProperty(
          fc.array(
            fc
              .string({ unit: 'binary', maxLength: 40 })
              .filter((text) => !text.includes('\0') && text.isWellFormed()),
            { maxLength: 8 },
          ),
          async (words) => {
            const command = ['printf', '%s|', 'first', ...words];
            const run = new Attended(container, wrap({ runId: 'any', command, transport: 'bytes' }));
            await run.toItsEnd();
            assert.equal(run.output, ['first', ...words].map((word) => `${word}|`).join(''));
            await run.forget();
          },
        ),
        { numRuns: 10 },
      );
    } finally {
      await container.remove();
    }
  });

  for (const [what, options] of [
    ['a NUL', { runId: 'r', command: ['a\0b'] }],
    ['half a surrogate pair', { runId: 'r', command: ['\ud800'] }],
    ['one string for a command', { runId: 'r', command: 'echo hi' }],
    ['a number among the arguments', { runId: 'r', command: ['sleep', 1] }],
    ['neither program nor script', { runId: 'r', command: {} }],
    ['no command', { runId: 'r', command: null }],
    ['no run id', { runId: undefined, command: ['true'] }],
    ['no program', { runId: 'r', command: [] }],
    ['an empty program', { runId: 'r', command: [''] }],
    ['an option for a program', { runId: 'r', command: ['-c', 'true'] }],
    ['a run id with a path', { runId: '../r', command: ['true'] }],
    ['an empty run id', { runId: '', command: ['true'] }],
    ['more than Linux takes', { runId: 'r', command: ['x'.repeat(140_000)] }],
  ] as const) {
    it(`is refused with ${what}`, () => {
      assert.throws(() => wrap(options as unknown as WrapperOptions), InvalidCommandError);
    });
  }
});
