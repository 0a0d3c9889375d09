import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  figuresOf,
  resultOf,
  type SetFindings,
  type TableFindings,
} from '../../../functions/database-size/findings.ts';

const DAY = 24 * 3600 * 1000;
const WHOLE = { at: 100 * DAY, unsound: [] };
const BYTES = { kind: 'known', table: 100, indexes: 10, from: 'files' } as const;

function messages(change: Partial<TableFindings> = {}): TableFindings {
  return {
    table: {
      table: 'messages',
      databases: ['wa1_messageStore'],
      figure: 'messageRows',
      limit: { rows: 10, figure: 'daysLeft', daysAhead: 14 },
    },
    measured: {
      kind: 'told',
      value: {
        database: 'wa1_messageStore',
        rows: { kind: 'estimate', rows: 5, atLeast: 4, atMost: 6 },
        bytes: BYTES,
      },
    },
    count: undefined,
    forecast: { kind: 'told', value: { kind: 'made', days: 3, perDay: 1, ...WHOLE } },
    ...change,
  };
}

const UNKNOWN: Partial<TableFindings> = {
  measured: {
    kind: 'told',
    value: {
      database: 'wa1_messageStore',
      rows: { kind: 'unknown', reason: 'never analyzed' },
      bytes: { kind: 'unknown', reason: 'locked' },
    },
  },
  forecast: undefined,
};

function set(
  name: string,
  tables: TableFindings[],
  idleConnections?: SetFindings['idleConnections'],
): SetFindings {
  return {
    set: {
      name,
      database: { engine: 'mysql', host: 'database.internal', port: 3306, certificateAuthority: 'rds' },
      secretArn: 'arn',
      databases: [],
      tables: tables.map(({ table }) => table),
    },
    tables,
    idleConnections,
  };
}

describe('the report of database-size', () => {
  it('sums up what is known of every set; of days left the fewest', () => {
    const { outcome, figures, problems } = resultOf('shop', [
      set('a', [messages()], { kind: 'told', value: 2 }),
      set(
        'b',
        [messages({ forecast: { kind: 'told', value: { kind: 'made', days: 1, perDay: 1, ...WHOLE } } })],
        {
          kind: 'told',
          value: 1,
        },
      ),
    ]);
    assert.equal(outcome, 'succeeded');
    assert.deepEqual(problems, []);
    assert.deepEqual(figures, {
      messageRows: 10,
      daysLeft: 1,
      tableBytes: 200,
      indexBytes: 20,
      idleConnections: 3,
      unknownSizes: 0,
    });
  });

  it('has no figure of what is unknown in one set, and is partial', () => {
    const { outcome, figures, problems } = resultOf('shop', [
      set('a', [messages()]),
      set('b', [messages(UNKNOWN)]),
    ]);
    assert.equal(outcome, 'partial');
    assert.deepEqual(figures, { unknownSizes: 1 });
    assert.match(problems[0]?.what ?? '', /messages in wa1_messageStore has is unknown: never analyzed/);
    assert.match(problems[0]?.where ?? '', /shop, set b on database\.internal/);
    assert.deepEqual(figuresOf(set('b', [messages(UNKNOWN)])), {});
  });

  it('failed where nothing is known, and names one cause once', () => {
    const refused = { kind: 'not-told', error: 'The login is refused.' } as const;
    const nothing = messages({ measured: refused, forecast: undefined });
    const { outcome, problems } = resultOf('shop', [set('a', [nothing, nothing], refused)]);
    assert.equal(outcome, 'failed');
    assert.deepEqual(
      problems.map(({ what }) => what),
      ['The login is refused.'],
    );
  });

  it('takes the count for the rows, also where the server knows no number', () => {
    const counted = { kind: 'told', value: { kind: 'counted', rows: 7 } } as const;
    const { outcome, figures } = resultOf('shop', [set('a', [messages({ ...UNKNOWN, count: counted })])]);
    assert.equal(outcome, 'succeeded');
    assert.equal(figures.messageRows, 7);
  });

  for (const [kind, reason] of [
    ['too-slow', /longer than the time limit/],
    ['locked', /somebody holds a lock/],
    ['no-time', /after the end of the window/],
  ] as const)
    it(`takes the estimate where the count was ${kind}, and says so`, () => {
      const { outcome, figures, problems } = resultOf('shop', [
        set('a', [messages({ count: { kind: 'told', value: { kind } } })]),
      ]);
      assert.equal(outcome, 'partial');
      assert.equal(figures.messageRows, 5);
      assert.match(problems[0]?.what ?? '', reason);
    });

  it('says that the pace is unknown where CloudWatch does not tell the past', () => {
    const { outcome, problems } = resultOf('shop', [
      set('a', [messages({ forecast: { kind: 'not-told', error: 'AccessDenied' } })]),
    ]);
    assert.equal(outcome, 'partial');
    assert.match(problems[0]?.what ?? '', /grows is unknown: AccessDenied/);
  });

  it('says that a forecast cannot be made, once it is due', () => {
    const known = (sinceDays: number) =>
      resultOf('shop', [
        set('a', [
          messages({
            forecast: { kind: 'told', value: { kind: 'too-few-days', days: 2, sinceDays, ...WHOLE } },
          }),
        ]),
      ]);
    assert.equal(known(2).outcome, 'succeeded');
    assert.equal(known(4).outcome, 'partial');
    assert.match(known(4).problems[0]?.what ?? '', /cannot be told: in the 4 days .* known of 2/);
    assert.equal(known(4).figures.daysLeft, undefined);
  });

  it('tells a value of the past that is no number, for three days as a problem', () => {
    const withOne = (daysAgo: number) => {
      const unsound = [{ at: WHOLE.at - daysAgo * DAY, what: 'MessageRows -5 at some hour' }];
      const forecast = { kind: 'made', days: 3, perDay: 1, at: WHOLE.at, unsound } as const;
      return resultOf('shop', [set('a', [messages({ forecast: { kind: 'told', value: forecast } })])]);
    };
    assert.equal(withOne(2).outcome, 'partial');
    assert.match(withOne(2).problems[0]?.what ?? '', /no numbers of rows, .* MessageRows -5 at some hour/);
    assert.equal(withOne(4).outcome, 'succeeded');
    assert.match(JSON.stringify(withOne(4).details), /"leftOut":\["MessageRows -5 at some hour"\]/);
  });

  it('has no figure of bytes that are statistics: they are told in the details, with their source', () => {
    const { measured } = messages();
    assert.ok(measured.kind === 'told');
    const statistics = { ...measured.value, bytes: { ...BYTES, from: 'statistics' } as const };
    const { outcome, figures, details } = resultOf('shop', [
      set('a', [messages({ measured: { kind: 'told', value: statistics } })]),
    ]);
    assert.equal(outcome, 'succeeded');
    assert.deepEqual(figures, { messageRows: 5, daysLeft: 3, unknownSizes: 0 });
    assert.match(JSON.stringify(details), /"from":"statistics"/);
  });
});
