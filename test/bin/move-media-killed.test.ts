import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe, it } from 'node:test';
import { beginEach, type Client, type Host, missing, rsync, STEPS } from './move-media-stage.ts';

const copies: readonly string[] = ['copy', 'last-copy', 'verify'];

describe('move-media, killed before each command that changes something,', { skip: missing }, () => {
  let host: Host;
  let client: Client;

  beginEach((startedHost, startedClient) => {
    host = startedHost;
    client = startedClient;
  });

  for (const [index, step] of STEPS.slice(0, 6).entries())
    it(`${step} loses nothing, and is taken up again`, () => {
      host.works(...STEPS.slice(0, index));
      if (step === 'back') client.works();
      host.keep('before');
      let kills = 0;
      /** What was left behind: where it is the same as before, so is all that follows from it. */
      const states = new Set<string>();
      // Of the steps that copy, which write many records of one kind, every other command.
      for (; ; kills += copies.includes(step) ? 2 : 1) {
        const { status, output } = host.typeStep(step, { killAt: kills + 1 });
        if (status === 0) break;
        assert.equal(status, 137, output);
        const state = host.state();
        if (states.has(state)) {
          host.restore('before');
          continue;
        }
        states.add(state);
        const then = `killed ${kills + 1}: `;
        // The host starts anew, and the client with it.
        host.restart();
        client.check(`${then}after a restart`);
        const same = client.copy();
        if (kills % 3 === 0) same.works();
        const again = host.typeStep(step);
        // What the client wrote after it was verified must be copied first.
        if (again.status !== 0) host.works('last-copy', 'verify', 'switch');
        else if (kills % 6 === 0 && index < 4) host.works(...STEPS.slice(Math.max(index, 1), 5));
        same.check(`${then}at the end`);
        host.restore('before');
      }
      assert.ok(kills > 2, `${kills} commands`);
    });

  it('in the middle of a copy', () => {
    host.works('begin');
    // As rsync is killed when a part is done.
    const folder = join(host.folder, 'dying');
    host.shell(
      `mkdir -p ${folder}; printf '#!/bin/sh\\n${join(rsync.folder, 'rsync')} --exclude=large.mp4 "$@"; kill -KILL 0\\n' > ${folder}/rsync; chmod +x ${folder}/rsync`,
    );
    const dying = { env: { PATH: [folder, process.env.PATH].join(delimiter) } };
    assert.equal(host.typeStep('copy', dying).status, 137);
    assert.equal(existsSync(host.newSide('incoming/used.jpg')), true);
    assert.match(host.fails('last-copy'), /copy first/);
    assert.match(host.fails('switch'), /Not yet/);
    rmSync(host.oldSide('outgoing/deleted.mp4'));
    host.works('copy');
    assert.equal(host.typeStep('last-copy', dying).status, 137);
    assert.match(host.fails('verify'), /Not yet/);
    host.works('last-copy', 'verify', 'switch');
    client.check('at the end');
  });
});
