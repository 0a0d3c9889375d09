import assert from 'node:assert/strict';
import { test } from 'node:test';
import util from 'node:util';
import * as substitute from '../../../../functions/shared/substitutes/util.ts';

/** What Node loads only when it is read, or tells of as outdated; none of what is bundled uses it. */
const LEFT_OUT = new Set([
  'aborted',
  'convertProcessSignalToExitCode',
  'diff',
  'isArray',
  'MIMEParams',
  'MIMEType',
  'parseArgs',
  'setTraceSigInt',
  'transferableAbortController',
  'transferableAbortSignal',
]);

test("all of Node's util is there but what it loads only when that is read", () => {
  const expected = Object.keys(util).filter((name) => !name.startsWith('_') && !LEFT_OUT.has(name));
  assert.deepEqual(Object.keys(substitute).sort(), ['default', ...expected].sort());
  assert.equal(substitute.default, util);
});
