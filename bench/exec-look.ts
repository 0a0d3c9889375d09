/**
 * What a look at a running command moves over its session, for outputs of very different lengths: the messages of the
 * agent's and of ours, of one `commandStatus` that keeps 16 KiB of either end. It must not grow with the output.
 *
 *     node bench/exec-look.ts
 */
import Table from 'cli-table3';
import { commandStatus, startCommand, stopCommand } from '../functions/shared/ecs-exec/execute-command.ts';
import { Cloud } from '../test/functions/shared/ecs-exec/cloud.ts';
import { tell } from './figures.ts';

const LENGTHS = [100_000, 1_000_000, 10_000_000, 100_000_000];
const keep = { head: 16_384, tail: 16_384 };

const table = new Table({
  head: ['bytes printed', 'messages', 'of the shortest'],
  style: { head: [], border: [] },
});
let shortest: number | undefined;
for (const length of LENGTHS) {
  await using cloud = await Cloud.start();
  const run = { ...cloud.target, clients: cloud.clients, runId: `look-${length}` };
  const script = `head -c ${length} /dev/zero | tr "\\0" x; sleep 600`;
  await startCommand({ ...run, command: { script }, attendFor: 0, keep: { head: 0, tail: 0 } });
  while ((await commandStatus({ ...run, keep: { head: 0, tail: 0 } })).output.totalBytes < length);
  let messages = 0;
  cloud.gateway.faults.link = () => {
    messages += 1;
    return 'pass';
  };
  const { output } = await commandStatus({ ...run, keep });
  if (output.totalBytes !== length || output.head.length !== keep.head)
    throw new Error(`A look told of ${output.totalBytes} bytes, and gave ${output.head.length}.`);
  cloud.gateway.faults = {};
  await stopCommand(run);
  shortest ??= messages;
  tell({
    bench: 'exec-look',
    what: `messages of a look at ${length.toLocaleString('en')} bytes`,
    rival: 'the shortest output',
    value: messages / shortest,
    goal: { atMost: 1.1 },
  });
  table.push([length.toLocaleString('en'), messages, (messages / shortest).toFixed(2)]);
}
console.log(table.toString());
