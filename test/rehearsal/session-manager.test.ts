import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AgentOutput } from '../../rehearsal/aws/session-manager-output.ts';
import { splitCommand } from '../../rehearsal/aws/session-manager-shlex.ts';
import { NO_VECTORS, vectors } from '../functions/shared/ecs-exec/vectors.ts';

describe("the agent's ways", { skip: NO_VECTORS }, () => {
  for (const { command, argv, error } of vectors?.shlex ?? []) {
    it(`splits as google/shlex: ${JSON.stringify(command)}`, () => {
      if (error === undefined) assert.deepEqual(splitCommand(command), argv);
      else assert.throws(() => splitCommand(command), { message: error });
    });
  }

  for (const { name, ptyReadsBase64, sentPayloadsBase64, heldBackBase64 } of vectors?.agentOutput ?? []) {
    it(`sends and loses the same bytes of a terminal's output: ${name}`, () => {
      const output = new AgentOutput();
      const sent = ptyReadsBase64.map((reading) => output.take(Buffer.from(reading, 'base64')));
      assert.deepEqual(
        sent.filter(({ length }) => length > 0).map((payload) => payload.toString('base64')),
        sentPayloadsBase64,
      );
      assert.equal(output.held.toString('base64'), heldBackBase64);
    });
  }
});
