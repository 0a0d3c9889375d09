import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { nobodyTried } from '../../functions/credential-rotation/unproven.ts';
import { figuresOf, resultOf } from '../../functions/database-size/findings.ts';
import { sumOf } from '../../functions/message-gc/message-rows.ts';
import { outcomeOf } from '../../functions/shared/containers/container-report.ts';
import { isComplete } from '../../functions/shared/whatsapp/gc-call.ts';
import type { UpgradeCheckSettings } from '../../functions/upgrade-check/contract.ts';
import {
  answerOf,
  cleaningFinding,
  rowsFindings,
  servicesFinding,
} from '../../functions/upgrade-check/criteria.ts';
import { spaceFinding } from '../../functions/upgrade-check/space-finding.ts';

const settings: UpgradeCheckSettings = {
  deployment: 'shop',
  sets: [],
  maximumRows: 2_000_000,
  startRunArn: 'start-run',
  readingJobs: [],
  otherJobs: [],
  storage: [],
};
const address = { engine: 'postgres', host: 'database', port: 5432, certificateAuthority: 'rds' } as const;

describe('all of nothing is no success', () => {
  for (const kind of ['answered', 'interrupted'] as const)
    it(`of garbage collection that was ${kind}: no callbacks, no nodes`, () =>
      assert.equal(isComplete({ kind, heard: [], missing: [], gone: [] }), false));

  it('of garbage collection that was never asked for', () => assert.equal(isComplete(undefined), false));

  it('of the rows of no set, which are unknown, not zero', () => assert.equal(sumOf([]), undefined));

  it('of sizes: no sets, and no tables in a set, whose bytes are unknown, not zero', () => {
    const set = { name: 'wa1', database: address, secretArn: 'arn', databases: [], tables: [] };
    const found = { set, tables: [], idleConnections: undefined };
    assert.deepEqual(figuresOf(found), {});
    for (const sets of [[], [found]]) {
      const { outcome, problems } = resultOf('shop', sets);
      assert.equal(outcome, 'failed');
      assert.match(problems[0]?.what ?? '', /^No table .* nothing was measured/);
    }
  });

  it('of work in containers: none, and none but such as went away', () => {
    const nowhere = { containers: [], notReady: [], missing: [] };
    assert.equal(outcomeOf(nowhere, []), 'failed');
    const container = { role: 'web', service: 'web', taskArn: 'task/1', container: 'web', runtimeId: '1' };
    const gone = { container, ended: { outcome: 'gone' as const, detail: '' }, seconds: 1, attempts: 1 };
    assert.equal(outcomeOf({ ...nowhere, containers: [container] }, [gone]), 'failed');
  });

  it('of a rotation: no task runs that could have tried the new credential', () => {
    const proof = {
      answer: 'proven' as const,
      tasks: 0,
      seen: 0,
      evidence: '',
      next: '',
      isHarmless: true,
      isMissing: false,
      isSilent: false,
      refused: 0,
      mayChange: false,
      isRead: true,
    };
    assert.equal(nobodyTried([{ proof }, { proof }]), true);
    assert.equal(nobodyTried([{ proof }, { proof: { ...proof, tasks: 1 } }]), false);
    assert.equal(nobodyTried([{}]), false);
  });

  it('of an upgrade check: no criteria, no tables, no runs, no services, no sizes, no places', () => {
    assert.equal(answerOf([]), 'unknown');
    const findings = [
      ...rowsFindings([], settings),
      cleaningFinding({ kind: 'told', value: [] }, settings, 0),
      servicesFinding({ kind: 'told', value: [] }, settings),
      servicesFinding(
        { kind: 'told', value: [] },
        { ...settings, services: { clusterArn: 'arn:aws:ecs:::cluster/wa', names: [] } },
      ),
      spaceFinding({ host: 'database', largest: [], spaces: { kind: 'told', value: [] } }, settings),
    ];
    for (const { answer, what } of findings) assert.notEqual(answer, 'yes', what);
  });
});
