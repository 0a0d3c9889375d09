import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeLogins, type Seen } from '../../../functions/credential-rotation/judge-logins.ts';
import type { SeenLogins } from '../../../functions/shared/database/contract/rotation.ts';

const TASKS: Seen['tasks'] = [
  { id: 'task-1', addresses: ['10.0.0.1'] },
  { id: 'task-2', addresses: ['10.0.0.2'] },
];
const BOTH = { tasks: 2, seen: 2 };
const mark = { at: '1', logins: {}, refusedFrom: {} };
const from = (...logins: string[]): NonNullable<SeenLogins['from']> =>
  logins.map((login) => {
    const [address = '', username = 'wa'] = login.split(' ');
    return { address, username };
  });

/** What differs from two new tasks, after two old ones that had logged in, on a server that counts no refused logins. */
type Case = [what: string, logins: Partial<SeenLogins> | Error, rest: Partial<Seen>, expected: Expected];
interface Expected {
  answer: 'proven' | 'disproven' | 'unknown';
  isHarmless?: boolean;
  mayChange?: boolean;
  isMissing?: boolean;
  isSilent?: boolean;
  says?: RegExp;
}

const CASES: Case[] = [
  ['every task was seen', { from: from('10.0.0.1', '10.0.0.2') }, {}, { answer: 'proven' }],
  [
    'no task runs',
    { from: [] },
    { tasks: [], before: { tasks: 0, seen: 0 } },
    { answer: 'proven', says: /No new task runs/ },
  ],
  [
    'as many as before: one of them never logs in',
    { from: from('10.0.0.2') },
    { before: { tasks: 2, seen: 1 } },
    { answer: 'proven' },
  ],
  [
    'as many as before, and logins are refused of which nobody knows whose',
    { from: from('10.0.0.2'), refused: 4 },
    { before: { tasks: 2, seen: 1 } },
    { answer: 'unknown', isHarmless: false, mayChange: true, says: /refused 4 logins meanwhile/ },
  ],
  [
    'as many as before, and the server tells that logins of others are refused',
    { from: from('10.0.0.2'), refused: 4, refusedFrom: { '10.0.0.9': 4 } },
    { before: { tasks: 2, seen: 1 } },
    { answer: 'proven' },
  ],
  [
    'fewer than before, and the server counts no refused logins',
    { from: from('10.0.0.2') },
    { before: BOTH },
    {
      answer: 'unknown',
      isHarmless: false,
      mayChange: true,
      isMissing: true,
      says: /seen 1 of its 2 .* before the roll 2 of 2 did/,
    },
  ],
  [
    'fewer than before, and nobody was refused: they may not have tried',
    { from: [], refused: 0 },
    { before: BOTH },
    { answer: 'unknown', isHarmless: false, mayChange: true, isMissing: false },
  ],
  [
    'fewer than before, and logins were refused',
    { from: [], refused: 3 },
    { before: BOTH },
    { answer: 'disproven', mayChange: true, says: /refused 3 logins meanwhile/ },
  ],
  [
    'the first of two, and both had logged in before',
    { from: [] },
    { tasks: TASKS.slice(0, 1), before: BOTH },
    { answer: 'unknown', isHarmless: false, mayChange: true, isMissing: true },
  ],
  [
    'the first of two, of which one had never logged in',
    { from: [] },
    { tasks: TASKS.slice(0, 1), before: { tasks: 2, seen: 1 } },
    { answer: 'unknown', isHarmless: true, mayChange: false },
  ],
  [
    'a task was refused, though it logs in too',
    { from: from('10.0.0.1', '10.0.0.2'), refusedFrom: { '10.0.0.2': 4 }, refused: 4 },
    {},
    {
      answer: 'disproven',
      mayChange: false,
      says: /refused 4 logins of its new tasks task-2 \(10\.0\.0\.2\)/,
    },
  ],
  [
    'somebody else was refused',
    { from: from('10.0.0.1', '10.0.0.2'), refusedFrom: { '10.9.9.9': 4 }, refused: 4 },
    {},
    { answer: 'proven' },
  ],
  [
    'a task logs in as the old user',
    { from: from('10.0.0.1', '10.0.0.2 wa_clone') },
    {},
    { answer: 'disproven', says: /task-2 .* log in as the old user, not as wa/ },
  ],
  [
    'a task has the address of one that has ended, which logged in as the old user',
    { from: from('10.0.0.1', '10.0.0.2', '10.0.0.2 wa_clone') },
    { addressesBefore: ['10.0.0.2'] },
    { answer: 'proven' },
  ],
  [
    'a task has the address of one that has ended, which was refused',
    { from: from('10.0.0.1', '10.0.0.2'), refusedFrom: { '10.0.0.2': 4 }, refused: 4 },
    { addressesBefore: ['10.0.0.2'] },
    { answer: 'proven' },
  ],
  [
    'one user with two passwords, and a task has the address of one that has ended',
    { from: from('10.0.0.1', '10.0.0.2'), refused: 0 },
    { sameUser: true, addressesBefore: ['10.0.0.2'] },
    { answer: 'unknown', isHarmless: false, mayChange: true },
  ],
  [
    'one user with two passwords, and ECS gives the new one',
    { from: from('10.0.0.1', '10.0.0.2') },
    { sameUser: true },
    { answer: 'proven' },
  ],
  [
    'one user with two passwords, and nobody knows from where',
    { from: from('10.0.0.1', '10.0.0.2') },
    { sameUser: true, isGiven: false },
    { answer: 'unknown', isHarmless: true, mayChange: false, says: /does not say which one/ },
  ],
  [
    'one user with two passwords, nobody knows from where, and the server tells that it is the new one',
    { from: from('10.0.0.1', '10.0.0.2').map((login) => ({ ...login, isOld: false })) },
    { sameUser: true, isGiven: false },
    { answer: 'proven', says: /with the new password/ },
  ],
  [
    'one user with two passwords, and the server tells it of one task only',
    { from: [...from('10.0.0.1'), { address: '10.0.0.2', username: 'wa', isOld: false }] },
    { sameUser: true, isGiven: false },
    { answer: 'unknown', says: /log_error_verbosity/ },
  ],
  [
    'one user with two passwords, and a task takes the old one, whatever its definition says',
    { from: [...from('10.0.0.1', '10.0.0.2'), { address: '10.0.0.2', username: 'wa', isOld: true }] },
    { sameUser: true },
    { answer: 'disproven', says: /task-2 .* log in with the old password/ },
  ],
  [
    'one user with two passwords, and a task has the address of one that has ended, which took the old one',
    {
      from: [false, true]
        .map((isOld) => ({ address: '10.0.0.2', username: 'wa', isOld }))
        .concat(from('10.0.0.1').map((login) => ({ ...login, isOld: false }))),
    },
    { sameUser: true, addressesBefore: ['10.0.0.2'] },
    { answer: 'proven' },
  ],
  [
    'the administrator may not see it',
    { grant: 'GRANT PROCESS ON *.* TO rotator' },
    {},
    { answer: 'unknown', isHarmless: true, mayChange: false, says: /GRANT PROCESS/ },
  ],
  [
    'the administrator may not see it, and logins are refused',
    { refused: 2 },
    {},
    { answer: 'unknown', isHarmless: false },
  ],
  [
    'tasks share the addresses of their hosts',
    { from: from('10.0.0.1') },
    { tasks: [{ id: 'task-1', addresses: [] }] },
    { answer: 'unknown', says: /awsvpc/ },
  ],
  ...(
    [
      ['each alone on its host, and logins from as many addresses', ['10.0.0.8', '10.0.0.9'], {}, 'proven'],
      [
        'each alone on its host, beside tasks of another service with addresses of their own',
        ['10.0.0.8', '10.0.0.9', '10.0.0.1'],
        { others: ['10.0.0.1'] },
        'proven',
      ],
      ['one host from which nobody logged in yet', ['10.0.0.8'], {}, 'unknown'],
      ['one more address than hosts', ['10.0.0.8', '10.0.0.9', '10.7.7.7'], {}, 'unknown'],
      ['two tasks on one host', ['10.0.0.8', '10.0.0.9'], { areShared: true }, 'unknown'],
      ['our own logins are among them', ['10.0.0.8', '10.0.0.9'], { canBeTold: false }, 'unknown'],
      ['logins with the old credential', ['10.0.0.8', '10.0.0.9 wa_clone'], {}, 'unknown'],
    ] as const
  ).map(([what, logins, hosts, answer]): Case => {
    const alone = { count: 2, areShared: false, others: [], canBeTold: true };
    return [
      `tasks share the addresses of their hosts: ${what}`,
      { from: from(...logins), refused: 0 },
      { tasks: TASKS.map(({ id }) => ({ id, addresses: [] })), hosts: { ...alone, ...hosts } },
      {
        answer,
        mayChange:
          answer === 'unknown' &&
          logins.every((each) => each !== '10.7.7.7') &&
          Object.keys(hosts).length === 0,
      },
    ];
  }),
  [
    'tasks share the addresses of their hosts, and logins are refused',
    { from: from('10.0.0.8', '10.0.0.9'), refused: 1 },
    {
      tasks: TASKS.map(({ id }) => ({ id, addresses: [] })),
      hosts: { count: 2, areShared: false, others: [], canBeTold: true },
    },
    { answer: 'unknown', isHarmless: false, mayChange: false },
  ],
  [
    'a pooler hides addresses, of the old tasks too',
    { from: from('10.5.5.5') },
    { before: { tasks: 2, seen: 0 } },
    { answer: 'unknown', isHarmless: true, mayChange: false, says: /pooler/ },
  ],
  [
    'an earlier run has rolled it, and one of its tasks logs in',
    { from: from('10.0.0.1') },
    { before: { tasks: 0, seen: 0 } },
    { answer: 'proven' },
  ],
  [
    'an earlier run has rolled it, and none of its tasks logs in',
    { from: [] },
    { before: { tasks: 0, seen: 0 } },
    { answer: 'unknown', isHarmless: false, mayChange: true, isSilent: false },
  ],
  [
    'an earlier run has rolled it, and none of its tasks logs in, where those of others are seen',
    { from: [] },
    { before: { tasks: 0, seen: 0 }, showsAddresses: true },
    { answer: 'unknown', isHarmless: false, mayChange: true, isSilent: true },
  ],
  [
    'the database could not be asked',
    new Error('The network is away.'),
    {},
    { answer: 'unknown', isHarmless: false, mayChange: true, says: /network is away/ },
  ],
  [
    'no task runs that should: they may end because they cannot log in',
    { from: [] },
    { tasks: [], missing: 2 },
    {
      answer: 'unknown',
      isHarmless: false,
      mayChange: true,
      isMissing: true,
      says: /2 of its tasks do not run/,
    },
  ],
  [
    'one of two runs and logs in, and the other one does not run',
    { from: from('10.0.0.1') },
    { tasks: TASKS.slice(0, 1), missing: 1 },
    { answer: 'unknown', isHarmless: false, mayChange: true, isMissing: true, says: /1 of its tasks do/ },
  ],
  [
    'one does not run, and the other one is refused',
    { from: [], refusedFrom: { '10.0.0.1': 3 } },
    { tasks: TASKS.slice(0, 1), missing: 1 },
    { answer: 'disproven' },
  ],
];

test('evidence is judged: proven, disproven, or not to be known', async (t) => {
  for (const [what, logins, rest, { answer, says, ...expected }] of CASES)
    await t.test(`${what}: ${answer}`, () => {
      const proof = judgeLogins({
        tasks: TASKS,
        logins:
          logins instanceof Error
            ? { kind: 'failed', message: logins.message }
            : { kind: 'done', value: { mark, ...logins } },
        username: 'wa',
        sameUser: false,
        isGiven: true,
        before: BOTH,
        ...rest,
      });
      assert.equal(proof.answer, answer);
      for (const [name, value] of Object.entries(expected))
        assert.equal(proof[name as keyof typeof expected], value, name);
      if (says) assert.match(`${proof.evidence} ${proof.next}`, says);
      if (answer !== 'proven') assert.notEqual(proof.next, '');
    });
});
