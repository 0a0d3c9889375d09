import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { UpgradeCheckSettings } from '../../../functions/upgrade-check/contract.ts';
import {
  answerOf,
  type Finding,
  type SpaceKnown,
  spaceFinding,
  type Verdict,
} from '../../../functions/upgrade-check/criteria.ts';

const SETTINGS: UpgradeCheckSettings = {
  deployment: 'shop',
  sets: [],
  maximumRows: 2_000_000,
  storage: [],
};

function finding(answer: Verdict): Finding {
  const about = { criterion: 'weather', what: 'It rains.', where: 'shop' };
  return answer === 'yes' ? { ...about, answer } : { ...about, answer, next: 'Wait.', cleaningHelps: false };
}

describe('the answer', () => {
  const cases: [Verdict[], Verdict][] = [
    [['yes', 'yes'], 'yes'],
    [['yes', 'unknown'], 'unknown'],
    [['unknown', 'no'], 'no'],
    [['yes', 'no'], 'no'],
    [[], 'unknown'],
  ];
  for (const [answers, whole] of cases)
    it(`is ${whole} of ${answers.join(' and ') || 'nothing'}`, () => {
      assert.equal(answerOf(answers.map(finding)), whole);
    });
});

describe('the free space of an Aurora MySQL cluster', () => {
  /** Of a table of 2 GB, whose copy goes to the one place, and its temporary files to the other. */
  function known(volume: number | undefined, disk: number | undefined): SpaceKnown {
    const place = { copies: 1, metric: 'Metric' };
    return {
      host: 'database.internal',
      largest: [
        { kind: 'told', value: { kind: 'known', database: 'waweb', table: 'small', bytes: 1e6 } },
        { kind: 'told', value: { kind: 'known', database: 'messageStore', table: 'messages', bytes: 2e9 } },
      ],
      spaces: {
        kind: 'told',
        value: [
          { ...place, name: "the cluster's volume", freeBytes: volume },
          { ...place, name: "the writing instance's own disk", freeBytes: disk },
        ],
      },
    };
  }

  const cases: [string, number | undefined, number | undefined, Verdict][] = [
    ['both have room', 1e13, 30e9, 'yes'],
    ['only the volume has room', 1e13, 1e9, 'no'],
    ['only the disk has room', 1e9, 30e9, 'no'],
    ['the disk’s is not told', 1e13, undefined, 'unknown'],
    ['the volume’s is not told', undefined, 30e9, 'unknown'],
  ];
  for (const [name, volume, disk, answer] of cases)
    it(`is ${answer} where ${name}`, () => {
      const found = spaceFinding(known(volume, disk), SETTINGS);
      assert.equal(found.answer, answer, found.what);
    });

  it('is judged by the largest table, and unknown where the size of one is', () => {
    const sizes = known(1e13, 30e9);
    assert.match(
      spaceFinding(sizes, SETTINGS).what,
      /^The largest table, messages in messageStore, takes 2\.00 GB/,
    );
    const locked = { kind: 'told', value: { kind: 'unknown', reason: 'somebody holds a lock' } } as const;
    const found = spaceFinding({ ...sizes, largest: [...sizes.largest, locked] }, SETTINGS);
    assert.equal(found.answer, 'unknown');
    assert.match(found.what, /is unknown: somebody holds a lock\.$/);
  });
});
