import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  GetCommandInvocationCommand,
  type GetCommandInvocationCommandOutput,
  GetParameterCommand,
  InvalidInstanceId,
  InvalidParameters,
  InvocationDoesNotExist,
  ListCommandInvocationsCommand,
  ListCommandsCommand,
  ParameterAlreadyExists,
  PutParameterCommand,
  SendCommandCommand,
  SSMClient,
} from '@aws-sdk/client-ssm';
import { Key } from 'aws-cdk-lib/aws-kms';
import { CfnDocument } from 'aws-cdk-lib/aws-ssm';
import { DockerHost } from '../../../../rehearsal/aws/containers/docker-host.ts';
import type { ManagedInstance } from '../../../../rehearsal/aws/ssm/run-command.ts';
import { ACCOUNT, type Deployment, deploy, REGION } from '../deploy.ts';

interface Work extends Deployment {
  ssm: SSMClient;
  instance: ManagedInstance;
  folder: string;
  run(script: string, timeout?: string): Promise<string>;
  end(commandId: string): Promise<GetCommandInvocationCommandOutput>;
}

const ID = 'i-0123456789abcdef0';

async function withInstance(work: (tools: Work) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'ssm-'));
  try {
    await deploy(
      (stack) =>
        new CfnDocument(stack, 'Greet', {
          name: 'greet',
          documentType: 'Command',
          content: {
            schemaVersion: '2.2',
            parameters: { name: { type: 'String', allowedPattern: '^[a-z]+$' } },
            mainSteps: [
              {
                action: 'aws:runShellScript',
                name: 'greet',
                inputs: { timeoutSeconds: '60', runCommand: ["echo 'hello {{ name }}'"] },
              },
            ],
          },
        }),
      async (deployment) => {
        const ssm = new SSMClient(deployment.client());
        const host = new DockerHost({ instanceId: ID, folder: join(folder, 'host') });
        const instance = deployment.aws.ssm.manage(host, { account: ACCOUNT, region: REGION });
        const run: Work['run'] = async (script, timeout = '60') => {
          const Parameters = { commands: [script], executionTimeout: [timeout] };
          const { Command: command } = await ssm.send(
            new SendCommandCommand({ DocumentName: 'AWS-RunShellScript', InstanceIds: [ID], Parameters }),
          );
          assert.ok(command?.CommandId);
          return command.CommandId;
        };
        const end: Work['end'] = async (CommandId) => {
          for (;;) {
            deployment.clock.advance(200);
            const invocation = await ssm.send(new GetCommandInvocationCommand({ CommandId, InstanceId: ID }));
            if (!['Pending', 'InProgress'].includes(invocation.Status ?? '')) return invocation;
            assert.equal(invocation.StandardOutputContent, '');
            await new Promise((resolve) => setTimeout(resolve, 50));
          }
        };
        await work({ ...deployment, ssm, instance, folder, run, end });
        ssm.destroy();
      },
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test('runs a script on the instance and shows the beginning of what it printed, once it has ended', () =>
  withInstance(async ({ run, end, ssm }) => {
    const id = await run(
      'head -c 30000 /dev/zero | tr "\\0" x; head -c 9000 /dev/zero | tr "\\0" y >&2; exit 3',
    );
    const { StatusDetails, ResponseCode, StandardOutputContent, StandardErrorContent } = await end(id);
    assert.deepEqual([StatusDetails, ResponseCode], ['Failed', 3]);
    assert.deepEqual([StandardOutputContent?.length, StandardErrorContent?.length], [24_000, 8_000]);
    const { CommandInvocations: listed } = await ssm.send(
      new ListCommandInvocationsCommand({ CommandId: id, Details: true }),
    );
    assert.equal(listed?.[0]?.CommandPlugins?.[0]?.Output?.length, 2_500);
  }));

test('does not know a command in the first moment after it was sent', () =>
  withInstance(async ({ run, ssm, end }) => {
    const CommandId = await run('true');
    await assert.rejects(
      ssm.send(new GetCommandInvocationCommand({ CommandId, InstanceId: ID })),
      InvocationDoesNotExist,
    );
    assert.equal((await end(CommandId)).StatusDetails, 'Success');
  }));

test('reboots the instance and runs the script again for exit code 194', () =>
  withInstance(async ({ run, end, instance, folder }) => {
    const mark = join(folder, 'mark');
    await end(await run(`[ -e '${mark}' ] && exit 0; touch '${mark}'; exit 194`));
    assert.equal(instance.reboots, 1);
    assert.ok(existsSync(mark));
  }));

test('kills the script when its time is over, and takes an hour for a time that is out of range', () =>
  withInstance(async ({ run, end }) => {
    const started = performance.now();
    const { StatusDetails, ResponseCode } = await end(await run('sleep 60', '5'));
    assert.deepEqual([StatusDetails, ResponseCode], ['Execution Timed Out', 137]);
    assert.ok(performance.now() - started < 50_000);
    assert.equal((await end(await run('sleep 1', '1'))).StatusDetails, 'Success');
  }));

test('fails as real instances do: full, unreachable, late', () =>
  withInstance(async ({ run, end, instance, clock, ssm }) => {
    instance.fault = 'disk-full';
    const full = await end(await run('true'));
    assert.deepEqual([full.StatusDetails, full.ResponseCode], ['Failed', -1]);
    assert.match(full.StandardErrorContent ?? '', /^Plugin with name aws:runShellScript not found/);

    instance.fault = 'unreachable';
    const id = await run('true');
    await clock.runUntil(clock.now() + 60 * 60 * 1000 + 61_000);
    assert.equal((await end(id)).StatusDetails, 'Undeliverable');
    const { Commands: commands } = await ssm.send(new ListCommandsCommand({ CommandId: id }));
    assert.equal(commands?.[0]?.Status, 'Success');

    instance.fault = 'answers-late';
    const late = await end(await run('echo done'));
    assert.deepEqual([late.StatusDetails, late.StandardOutputContent], ['Delivery Timed Out', 'done\n']);
  }));

test("runs a template's document with parameters of the form that it allows, on managed instances only", () =>
  withInstance(async ({ ssm, end }) => {
    const send = (name: string, instance = ID) =>
      ssm.send(
        new SendCommandCommand({
          DocumentName: 'greet',
          InstanceIds: [instance],
          Parameters: { name: [name] },
        }),
      );
    const { Command: command } = await send('ada');
    assert.equal((await end(command?.CommandId ?? '')).StandardOutputContent, 'hello ada\n');
    await assert.rejects(send("'; reboot"), InvalidParameters);
    await assert.rejects(send('ada', 'i-0000000000000dead'), InvalidInstanceId);
  }));

test('a SecureString is written and read with its key, by whom the key lets', () =>
  deploy(
    (stack) => new Key(stack, 'Key', { alias: 'alias/client' }),
    async ({ aws, client }) => {
      const [key] = aws.deployed.ofType('AWS::KMS::Key');
      const where = { account: ACCOUNT, region: REGION };
      aws.ssm.write('DB_PASSWORD', 'old', { ...where, keyId: key?.arn ?? '' });
      const ssm = new SSMClient(client());
      const put = (to: SSMClient, more: object = { Overwrite: true }) =>
        to.send(
          new PutParameterCommand({
            Name: 'DB_PASSWORD',
            Value: 'new',
            Type: 'SecureString',
            KeyId: 'alias/client',
            ...more,
          }),
        );
      await assert.rejects(put(ssm, {}), ParameterAlreadyExists);
      assert.equal((await put(ssm)).Version, 2);
      const read = async (from: SSMClient, WithDecryption: boolean) => {
        const { Parameter } = await from.send(
          new GetParameterCommand({ Name: 'DB_PASSWORD', WithDecryption }),
        );
        return Parameter?.Value;
      };
      assert.equal(await read(ssm, true), 'new');
      assert.notEqual(await read(ssm, false), 'new');
      assert.equal(aws.ssm.parameter('DB_PASSWORD', where)?.keyId, 'alias/client');
      const withoutKey = new SSMClient(client([{ Effect: 'Allow', Action: 'ssm:*', Resource: '*' }]));
      await assert.rejects(read(withoutKey, true), /kms:Decrypt/);
      await assert.rejects(put(withoutKey), /kms:Encrypt/);
      ssm.destroy();
      withoutKey.destroy();
    },
  ));
