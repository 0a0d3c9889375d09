import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { beginEach, type Client, type Host, missing } from './move-media-stage.ts';

describe('moving the media volume', { skip: missing }, () => {
  let host: Host;
  let client: Client;

  beginEach((startedHost, startedClient) => {
    host = startedHost;
    client = startedClient;
  });

  describe('finds out, before the switch,', () => {
    const change = (file: string, how: () => void) => {
      const { atime, mtime } = lstatSync(file);
      how();
      utimesSync(file, atime, mtime);
    };
    for (const { what, harm } of [
      {
        what: 'a byte that changed in a file of the same size and time',
        harm: () =>
          change(host.newSide('outgoing/large.mp4'), () => {
            const bytes = readFileSync(host.newSide('outgoing/large.mp4'));
            bytes[190_000] = (bytes[190_000] ?? 0) ^ 1;
            writeFileSync(host.newSide('outgoing/large.mp4'), bytes);
          }),
      },
      { what: 'a file that is missing', harm: () => rmSync(host.newSide('incoming/unused.jpg')) },
      { what: 'a file cut off', harm: () => writeFileSync(host.newSide('incoming/used.jpg'), 'used') },
      { what: 'another mode', harm: () => chmodSync(host.newSide('incoming'), 0o777) },
      { what: 'another time', harm: () => utimesSync(host.newSide('incoming/unused.jpg'), 0, 0) },
      { what: 'another owner', harm: () => chownSync(host.newSide('incoming/unused.jpg'), 1234, 1234) },
      {
        what: 'a link that leads elsewhere',
        harm: () => {
          rmSync(host.newSide('link'));
          symlinkSync('elsewhere', host.newSide('link'));
        },
      },
      {
        what: 'two links that became two files',
        harm: () => {
          const { atime, mtime, mode } = lstatSync(host.newSide('hard'));
          const bytes = readFileSync(host.newSide('hard'));
          rmSync(host.newSide('hard'));
          writeFileSync(host.newSide('hard'), bytes);
          chmodSync(host.newSide('hard'), mode);
          utimesSync(host.newSide('hard'), atime, mtime);
        },
      },
      {
        what: 'two files that changed places',
        harm: () => {
          renameSync(host.newSide('incoming/unused.jpg'), host.newSide('swap'));
          renameSync(host.newSide('incoming/used.jpg'), host.newSide('incoming/unused.jpg'));
          renameSync(host.newSide('swap'), host.newSide('incoming/used.jpg'));
        },
      },
    ])
      it(what, () => {
        if (!existsSync(join(host.path(host.folder), 'snapshots/copied'))) {
          host.works('begin', 'copy', 'last-copy');
          host.keep('copied');
        } else host.restore('copied');
        harm();
        assert.doesNotMatch(host.fails('verify'), /Verified/);
      });

    it('and mends it by a copy that compares contents', () => {
      host.works('begin', 'copy', 'last-copy');
      const large = host.newSide('outgoing/large.mp4');
      change(large, () => writeFileSync(large, Buffer.alloc(statSync(large).size)));
      host.fails('verify');
      assert.match(host.fails('switch'), /Not yet/);
      host.works('last-copy', 'verify', 'switch');
      client.check('after the switch');
    });

    it('that the client went on after it was verified', () => {
      host.works('begin', 'copy', 'last-copy', 'verify');
      client.works();
      assert.match(host.fails('switch'), /was changed after it was verified: the client still runs/);
      assert.equal(host.isSwitched(), false);
      host.works('last-copy', 'verify');
      chmodSync(host.oldSide('private/thumbnail'), 0o644);
      rmSync(host.oldSide('link'));
      symlinkSync('hard', host.oldSide('link'));
      assert.match(host.fails('switch'), /link\n.*thumbnail\n.*was changed after it was verified/);
      host.works('last-copy', 'verify', 'switch');
      client.check('after the switch');
    });
  });

  it('knows a write of the same second and size: before the switch, and after it', () => {
    const again = (text: string) => {
      const file = host.oldSide('incoming/unused.jpg');
      const { mtimeMs } = statSync(file);
      const second = Math.floor(mtimeMs / 1000);
      const was = readFileSync(file, 'utf8');
      writeFileSync(file, text.padEnd(was.length, '.').slice(0, was.length));
      utimesSync(file, second, second + (mtimeMs % 1000 > 500 ? 0.25 : 0.75));
      return readFileSync(file, 'utf8');
    };
    const arrived = () => readFileSync(host.newSide('incoming/unused.jpg'), 'utf8');
    host.works('begin', 'copy', 'last-copy', 'verify');
    const first = again('first');
    assert.match(host.fails('switch'), /was changed after it was verified/);
    host.works('last-copy');
    host.fails('verify');
    host.works('last-copy', 'verify', 'switch');
    assert.equal(arrived(), first);
    const second = again('other');
    assert.match(host.works('status'), /ATTENTION: .* was written to since/);
    host.works('switch');
    assert.equal(arrived(), second);
  });
});
