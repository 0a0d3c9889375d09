import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Duration, Stack } from 'aws-cdk-lib';
import { Vpc } from 'aws-cdk-lib/aws-ec2';
import { Topic } from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';
import { PropsError } from '../../../lib/checks/props.ts';
import {
  AlarmTopic,
  ApplicationSettings,
  CallbacksBus,
  DatabaseSize,
  MediaGc,
  MessageGc,
  StartRun,
  UpgradeCheck,
  Upkeep,
} from '../../../lib/index.ts';
import { appWithoutBundles } from '../template.ts';

// biome-ignore lint/suspicious/noExplicitAny: what is mistaken has no type.
type Anything = any;

const SECRET = 'arn:aws:secretsmanager:eu-central-1:111111111111:secret:api-a1B2c3';

const SET = {
  prefix: 'wa_',
  database: { engine: 'mysql', host: 'db.example.internal', port: 3306, certificateAuthority: 'rds' },
  secretArn: SECRET,
};

/** What a construct is given without a mistake, and how it is made with what a mistake changes. */
const MAKE: Record<string, (scope: Stack, change: Anything) => Construct> = {
  AlarmTopic: (scope, change) => new AlarmTopic(scope, 'It', { deployment: 'shop', ...change }),
  CallbacksBus: (scope, change) =>
    new CallbacksBus(scope, 'It', { deployment: 'shop', topic: new Topic(scope, 'Topic'), ...change }),
  StartRun: (scope, change) =>
    new StartRun(scope, 'It', {
      deployment: 'shop',
      timeZone: 'Europe/Berlin',
      window: { from: '01:00', to: '05:00' },
      topic: new Topic(scope, 'Topic'),
      isAddressed: false,
      ...change,
    }),
  MessageGc: (scope, change) => new MessageGc(scope, 'It', { ...gcProps(scope), ...change }),
  MediaGc: (scope, change) => new MediaGc(scope, 'It', { ...gcProps(scope), ...change }),
  DatabaseSize: (scope, change) => new DatabaseSize(scope, 'It', { ...sizeProps(scope), ...change }),
  ApplicationSettings: (scope, change) => {
    const { upkeep, webApp, network, schedule, timeLimit } = gcProps(scope);
    return new ApplicationSettings(scope, 'It', { upkeep, webApp, network, schedule, timeLimit, ...change });
  },
  UpgradeCheck: (scope, change) => {
    const { upkeep, sets, network } = sizeProps(scope);
    return new UpgradeCheck(scope, 'It', { upkeep, sets, network, ...change });
  },
};

function gcProps(scope: Stack): Anything {
  const upkeep = upkeepIn(scope);
  return {
    upkeep,
    callbacks: new CallbacksBus(scope, 'Callbacks', {
      deployment: 'shop',
      topic: upkeep.topic,
      keepUnreadMessages: true,
    }),
    webApp: { url: 'https://webapp.example.internal', certificateAuthority: 'PEM', secretArn: SECRET },
    network: { vpc: new Vpc(scope, 'Vpc') },
    schedule: { at: '01:30' },
    timeLimit: Duration.hours(2),
    maximumCalls: 3,
    pause: Duration.minutes(1),
    callbackTimeout: Duration.minutes(30),
  };
}

function sizeProps(scope: Stack): Anything {
  return {
    upkeep: upkeepIn(scope),
    sets: [SET],
    network: { vpc: new Vpc(scope, 'Vpc') },
    schedule: { at: '01:30' },
    timeLimit: Duration.minutes(30),
  };
}

function upkeepIn(scope: Stack): Upkeep {
  return new Upkeep(scope, 'Upkeep', {
    deployment: 'shop',
    timeZone: 'Europe/Berlin',
    window: { from: '01:00', to: '05:00' },
  });
}

const MARK_READ = { olderThan: Duration.hours(24), requestsPerSecond: 10, concurrency: 4 };

/** [construct, the change, the one sentence after its path] */
const MISTAKES: [string, Anything, RegExp][] = [
  ['AlarmTopic', { deployment: 'Shop' }, /^deployment is "Shop"; it must be a lower-case letter/],
  ['AlarmTopic', { emails: ['nobody'] }, /^emails\[0\] is "nobody"; it must be an e-mail address\.$/],
  ['CallbacksBus', { deployment: 'a_b' }, /^deployment is "a_b"/],
  [
    'CallbacksBus',
    { senders: ['webhook'] },
    /^senders\[0\] is "webhook"; it must be the ARN of a role, or the number of another account\.$/,
  ],
  ['CallbacksBus', { senders: ['111111111111'] }, /^senders\[0\] is the bus's own account/],
  ['StartRun', { timeZone: 'PST' }, /^timeZone is "PST"; it must be an IANA time zone/],
  [
    'StartRun',
    { window: { from: '1:00', to: '05:00' } },
    /^window\.from is "1:00"; it must be a local time HH:MM/,
  ],
  [
    'ApplicationSettings',
    { webApp: { url: 'https://webapp', secretArn: SECRET } },
    /^webApp\.certificateAuthority is missing/,
  ],
  [
    'ApplicationSettings',
    { expected: { callbackPersist: true } },
    /^expected\.callbackPersist is not a known/,
  ],
  [
    'ApplicationSettings',
    { expected: { sent_status: true }, settings: { sent_status: false } },
    /^expected\.sent_status is named in settings too; it must stand in one of the two/,
  ],
  ...(['MessageGc', 'MediaGc'] as const).flatMap((gc): [string, Anything, RegExp][] => [
    [
      gc,
      { webApp: { url: 'http://webapp', certificateAuthority: 'PEM', secretArn: SECRET } },
      /^webApp\.url is "http:\/\/webapp"; it must be an https URL without a path/,
    ],
    [
      gc,
      { webApp: { url: 'https://webapp', certificateAuthority: '', secretArn: SECRET } },
      /^webApp\.certificateAuthority is ""/,
    ],
    [
      gc,
      { webApp: { url: 'https://webapp', certificateAuthority: 'PEM', secretArn: 'api' } },
      /^webApp\.secretArn is "api"; it must be the full ARN of a secret/,
    ],
    [gc, { maximumCalls: 0 }, /^maximumCalls is 0; it must be a whole number from 1 to 50\.$/],
    [gc, { pause: Duration.days(1) }, /^pause is 1 day; it must be a Duration from 1 second to 1 hour\.$/],
    [
      gc,
      { callbackTimeout: Duration.minutes(15) },
      /^callbackTimeout is 15 minutes; it must be a Duration from 16 minutes to 12 hours\.$/,
    ],
    [
      gc,
      { callbackTimeout: Duration.hours(2) },
      /^callbackTimeout is 2 hours; it must be less than the 2 hours of timeLimit\.$/,
    ],
    [gc, { schedule: { at: 'noon' } }, /^schedule\.at is "noon"; it must be a local time HH:MM/],
    [gc, { schedule: { at: '06:00' } }, /^schedule\.at is "06:00"; it must lie inside the downtime window/],
  ]),
  [
    'MessageGc',
    { markRead: { ...MARK_READ, olderThan: Duration.days(14) } },
    /^markRead\.olderThan is 14 days; it must be a Duration from 1 hour to 13 days\.$/,
  ],
  [
    'MessageGc',
    { markRead: { ...MARK_READ, concurrency: 0 } },
    /^markRead\.concurrency is 0; it must be a whole number from 1 to 50\.$/,
  ],
  ...(['MessageGc', 'DatabaseSize', 'UpgradeCheck'] as const).flatMap(
    (reader): [string, Anything, RegExp][] => [
      [
        reader,
        { sets: [{ ...SET, database: { ...SET.database, engine: 'postgresql' } }] },
        /^sets\[0\]\.database\.engine is "postgresql"; it must be one of mysql, /,
      ],
      [reader, { sets: [SET, SET] }, /^sets\[1\]\.prefix names the set "wa", as does sets\[0\]/],
      [
        reader,
        { sets: [{ ...SET, prefix: 'wa.' }] },
        /^sets\[0\]\.prefix is "wa\.", which cannot name metrics/,
      ],
      [reader, { sets: [{ ...SET, secretArn: 'user' }] }, /^sets\[0\]\.secretArn is "user"/],
    ],
  ),
  ['DatabaseSize', { sets: [] }, /^sets is \[\]; it must be a list of 1 to 20/],
  [
    'DatabaseSize',
    { exactCountTimeLimit: Duration.hours(1) },
    /^exactCountTimeLimit is 1 hour; it must be a Duration from 1 second to 10 minutes\.$/,
  ],
  [
    'UpgradeCheck',
    { maximumGcAge: Duration.minutes(5) },
    /^maximumGcAge is 5 minutes; it must be a Duration from 1 hour to 7 days/,
  ],
  [
    'UpgradeCheck',
    { services: { clusterName: 'wa', names: [] } },
    /^services\.names is \[\]; it must be a list of 1 to 50 names of ECS services\.$/,
  ],
  [
    'UpgradeCheck',
    { storage: [{ host: 'other.internal', identifier: 'db' }] },
    /^storage\[0\]\.host is "other\.internal", which is no host of the sets/,
  ],
];

describe('a construct of a WhatsApp client, used alone', () => {
  for (const [name, make] of Object.entries(MAKE))
    it(`${name} is made of what is right`, () => {
      assert.ok(make(stack(), {}));
    });

  for (const [name, change, sentence] of MISTAKES)
    it(`${name} refuses ${JSON.stringify(change).slice(0, 80)}`, () => {
      assert.throws(
        () => MAKE[name]?.(stack(), change),
        (error) => {
          assert.ok(error instanceof PropsError, String(error));
          assert.ok(error.message.startsWith('Shop/It: '), error.message);
          assert.match(error.mistakes.join('\n'), sentence);
          return true;
        },
      );
    });
});

function stack(): Stack {
  return new Stack(appWithoutBundles(), 'Shop', { env: { account: '111111111111', region: 'eu-central-1' } });
}
