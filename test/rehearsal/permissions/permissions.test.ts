import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { playNight } from '../../../rehearsal/night.ts';
import { buildStage, type Stage } from '../stage.ts';
import { type AllowingStatement, Evidence } from './needed.ts';
import { NIGHTS } from './nights.ts';

const evidence = new Evidence();
let stage: Stage;
before(async () => {
  stage = await buildStage();
});
after(() => stage.close());

describe('with the policies that the templates give', () => {
  for (const { fault, scale, ...others } of NIGHTS)
    test(`${fault.description}: nothing is denied`, async (t) => {
      const mysql =
        fault.deployment === 'apac' || fault === NIGHTS[0]?.fault ? await stage.startMysql() : undefined;
      if (typeof mysql === 'string' && fault.deployment === 'apac') return t.skip(mysql);
      const { mismatches } = await playNight({
        ...others,
        cdkOut: stage.cdkOut,
        postgres: stage.postgres,
        ...(typeof mysql !== 'string' && { mysql }),
        ...(fault !== NIGHTS[0]?.fault && { only: fault.deployment }),
        scale: { ...stage.scale, ...scale },
        fault,
        onEnd: (world) => evidence.add(world),
      });
      assert.deepEqual(mismatches, []);
    });
});

test('list', () => {
  for (const statement of evidence.statements.values()) {
    const {
      of,
      kind,
      statement: { Sid, Action, Resource, Condition, Principal },
    } = statement as AllowingStatement;
    const needed = evidence.needed(statement);
    const un = [Action ?? []].flat().filter((a) => !needed.has(String(a).toLowerCase()));
    if (un.length && !([Action].flat().some((a) => String(a).includes('*')) && needed.size))
      console.log(
        'UNNEEDED',
        kind,
        of,
        Sid ?? '',
        JSON.stringify(un),
        JSON.stringify(Principal),
        JSON.stringify(Resource),
        JSON.stringify(Condition),
      );
  }
});
