import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as errors from '../../../../functions/shared/ecs-exec/errors.ts';
import { executeCommand } from '../../../../functions/shared/ecs-exec/execute-command.ts';
import { Cloud } from './cloud.ts';
import { base, timing } from './impatient-client.ts';

describe('a command that cannot be started', () => {
  for (const [what, arrange, error, message] of [
    [
      'the agent is not running',
      (cloud) => {
        cloud.container.agentRunning = false;
      },
      errors.AgentNotRunningError,
      /STOPPED in container web.*restart policy has started the container anew.*replace the task/,
    ],
    [
      'the agent is in another container, as with pidMode task',
      (cloud) => {
        cloud.agentIsElsewhere = true;
      },
      errors.NoAgentInContainerError,
      /^(?!.*replace the task).*runs in container proxy of the task only, not in container web/,
    ],
    [
      'exec is not enabled',
      (cloud) => {
        cloud.execEnabled = false;
      },
      errors.ExecNotEnabledError,
      /enableExecuteCommand/,
    ],
    ['access is denied', fault('AccessDeniedException', 403), errors.AccessDeniedError, /No permission/],
    ['AWS throttles', fault('ThrottlingException'), errors.ThrottledError, /fewer/],
    [
      'the target is not connected',
      fault('TargetNotConnectedException'),
      errors.TargetNotConnectedError,
      /ssmmessages/,
    ],
    [
      'the cluster does not exist',
      fault('ClusterNotFoundException'),
      errors.ClusterNotFoundError,
      /no cluster upkeep/,
    ],
    ['ECS refuses for another cause', fault('InvalidParameterException'), errors.StartError, /refused/],
  ] satisfies [string, (cloud: Cloud) => void, typeof errors.EcsExecError, RegExp][]) {
    it(`fails with its own error: ${what}`, async () => {
      await using cloud = await Cloud.start();
      arrange(cloud);
      const failing = executeCommand({ ...base(cloud), command: ['true'] });
      await assert.rejects(failing, (thrown) => thrown instanceof error && message.test(thrown.message));
      assert.equal(cloud.gateway.openSessions(cloud.container), 0);
      if (error !== errors.TargetNotConnectedError) assert.equal(cloud.count('ExecuteCommand'), 1);
    });
  }

  it('fails with its own error: both of the places in the container are taken', async () => {
    await using cloud = await Cloud.start();
    for (let i = 0; i < 2; i += 1)
      cloud.gateway.openSession({ container: cloud.container, command: 'sleep 300' });
    await assert.rejects(executeCommand({ ...base(cloud), command: ['true'] }), errors.SessionRefusedError);
  });

  it('fails with its own error: there is no shell', async () => {
    await using cloud = await Cloud.start();
    const failing = executeCommand({ ...base(cloud), command: ['true'], shell: ['/no/sh'] });
    await assert.rejects(
      failing,
      (error) =>
        error instanceof errors.NoShellError &&
        /has no shell, as distroless.*Unable to start command: Failed to start pty: fork\/exec \/no\/sh/.test(
          error.message,
        ),
    );
  });

  it('fails with its own error: no folder can be written', async () => {
    await using cloud = await Cloud.start();
    const failing = executeCommand({ ...base(cloud), command: ['true'], folders: ['/nowhere'] });
    await assert.rejects(failing, errors.StartError);
  });

  it('waits for an agent that is not connected yet', async () => {
    await using cloud = await Cloud.start();
    cloud.onCall = () => (cloud.calls.length < 12 ? { error: 'TargetNotConnectedException' } : undefined);
    const patient = { ...timing, firstPause: 5, longestConnect: 60_000 };
    const result = await executeCommand({ ...base(cloud), timing: patient, command: ['true'] });
    assert.equal(result.outcome, 'exited');
  });

  it('says so at the deadline if its agent was never connected', async () => {
    await using cloud = await Cloud.start();
    cloud.onCall = () => ({ error: 'TargetNotConnectedException' });
    const patient = { ...timing, longestConnect: 60_000 };
    const deadline = new Date(Date.now() + 300);
    const failing = executeCommand({ ...base(cloud), timing: patient, command: ['true'], deadline });
    await assert.rejects(failing, errors.TargetNotConnectedError);
  });
});

function fault(error: string, status = 400) {
  return (cloud: Cloud) => {
    cloud.onCall = ({ operation }) =>
      operation === 'ExecuteCommand' ? { error, message: 'as AWS says it', status } : undefined;
  };
}
