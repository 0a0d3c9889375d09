// In one file though long: a table of mistakes for each construct.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { App, Aws, CfnParameter, Duration, NestedStack, Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { type IVpc, Vpc } from 'aws-cdk-lib/aws-ec2';
import {
  Cluster,
  ContainerImage,
  FargateService,
  FargateTaskDefinition,
  type ICluster,
} from 'aws-cdk-lib/aws-ecs';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { PropsError } from '../../../lib/checks/props.ts';
import {
  AlarmTopic,
  CallbackRelay,
  ContainerCommandJob,
  type ContainerCommandJobProps,
  CredentialRotation,
  MediaVolume,
  MediaVolumeAlarms,
  OverviewDashboard,
  ReloadOnChange,
  RunQueries,
  Upkeep,
  UpkeepDashboard,
  UpkeepFunction,
  UpkeepJob,
  type UpkeepJobProps,
  type UpkeepProps,
} from '../../../lib/index.ts';
import { appWithoutBundles } from '../template.ts';

const folder = mkdtempSync(join(tmpdir(), 'upkeep-entries-'));
after(() => rmSync(folder, { recursive: true }));
const ENTRY = join(folder, 'handler.mjs');
writeFileSync(ENTRY, 'export const handler = async () => {};\n');

// biome-ignore lint/suspicious/noExplicitAny: what is mistaken has no type.
type Anything = any;

function stackIn(region = 'eu-central-1', app: App = appWithoutBundles()): Stack {
  return new Stack(app, 'Shop', { env: { account: '111111111111', region } });
}

function upkeepIn(scope: Stack, change: Anything = {}, id = 'Upkeep'): Upkeep {
  return new Upkeep(scope, id, {
    deployment: 'shop',
    timeZone: 'Europe/Berlin',
    window: { from: '01:00', to: '05:00' },
    ...(change satisfies Partial<UpkeepProps>),
  });
}

function jobIn(upkeep: Upkeep, change: Anything = {}, id = 'Reindex'): UpkeepJob {
  return new UpkeepJob(Stack.of(upkeep), id, {
    upkeep,
    job: 'reindex',
    description: 'Reindexes the shop',
    entry: ENTRY,
    settings: {},
    schedule: { at: '01:30' },
    timeLimit: Duration.hours(2),
    ...(change satisfies Partial<UpkeepJobProps>),
  });
}

function commandIn(upkeep: Upkeep, change: Anything = {}): ContainerCommandJob {
  return new ContainerCommandJob(Stack.of(upkeep), 'Prune', {
    upkeep,
    job: 'prune',
    cluster: 'shop',
    roles: { web: { services: ['storefront', 'checkout'], container: 'app' } },
    command: ['/srv/prune'],
    schedule: { at: '01:30' },
    ...(change satisfies Partial<ContainerCommandJobProps>),
  });
}

/** The mistakes that are found, without the construct's path, which is looked at. */
function mistakesOf(make: () => void, path: string): string[] {
  try {
    make();
    return [];
  } catch (error) {
    assert.ok(error instanceof PropsError, String(error));
    assert.ok(error.message.startsWith(path), error.message);
    return error.mistakes;
  }
}

/** [what is mistaken, the change, the one sentence after the construct's path] */
type Mistaken = [string, Anything, string];

describe('an Upkeep', () => {
  it('leaves alone what a construct that extends it is given for itself', () => {
    const stack = stackIn();
    upkeepIn(stack, { team: 'payments', emails: ['a@example.com'], email: 'a@example.com' });
    Template.fromStack(stack);
  });

  it('refuses a topic of another region, which no alarm reaches', () => {
    for (const property of ['topic', 'warningTopic']) {
      const stack = stackIn();
      const topic = Topic.fromTopicArn(stack, 'Topic', 'arn:aws:sns:us-east-1:111111111111:alarms');
      assert.deepEqual(
        mistakesOf(() => upkeepIn(stack, { [property]: topic }), 'Shop/Upkeep: '),
        [
          `${property} is of us-east-1; it must be of eu-central-1, for alarms reach topics of their own region only.`,
        ],
      );
    }
  });

  const MISTAKES: Mistaken[] = [
    [
      'a zone that is none',
      { timeZone: 'Foo/Bar' },
      'timeZone is "Foo/Bar"; it must be an IANA time zone such as Europe/Berlin.',
    ],
    [
      'a window that has no times',
      { window: { from: '9:00', to: '05:00' } },
      'window.from is "9:00"; it must be a local time HH:MM, from 00:00 to 23:59.',
    ],
    [
      'a window whose ends are the same',
      { window: { from: '01:00', to: '01:00' } },
      'window.to is "01:00", as is from; it must be another time, or come with wholeDay: true if the window is the whole day.',
    ],
    [
      'an e-mail address that is none',
      { emails: ['nonsense'] },
      'emails[0] is "nonsense"; it must be an e-mail address.',
    ],
    [
      'an address twice',
      { emails: ['a@example.com', 'a@example.com'] },
      'emails[1] is "a@example.com", as emails[0] is; each must be named once.',
    ],
    [
      'an ARN in place of a topic',
      { topic: 'arn:aws:sns:eu-central-1:1:alarms' },
      'topic is "arn:aws:sns:eu-central-1:1:alarms"; it must be a topic, such as Topic.fromTopicArn(…).',
    ],
    [
      'an ARN in place of a key',
      { encryptionKey: 'arn:aws:kms:eu-central-1:1:key/1' },
      'encryptionKey is "arn:aws:kms:eu-central-1:1:key/1"; it must be a key, such as Key.fromKeyArn(…).',
    ],
    [
      'days of which CloudWatch Logs does not know',
      { logRetention: 12 },
      'logRetention is 12; it must be one of RetentionDays, which CloudWatch Logs knows.',
    ],
    [
      'a name of which none can be made',
      { deployment: 'Shop_1' },
      'deployment is "Shop_1"; it must be a lower-case letter, then at most 23 lower-case letters, digits and hyphens.',
    ],
    [
      'a property that is misspelled',
      { emials: ['oncall@example.com'] },
      'emials is not a known field; did you mean "emails"? Allowed here: deployment, timeZone, window, topic, warningTopic, emails, encryptionKey, logRetention, additionalDurableRegions.',
    ],
  ];
  for (const [what, change, sentence] of MISTAKES)
    it(`refuses ${what}`, () => {
      assert.deepEqual(
        mistakesOf(() => upkeepIn(stackIn(), change), 'Shop/Upkeep: '),
        [sentence],
      );
    });

  it('refuses addresses beside a topic', () => {
    const stack = stackIn();
    const topic = Topic.fromTopicArn(stack, 'Topic', 'arn:aws:sns:eu-central-1:111111111111:alarms');
    assert.deepEqual(
      mistakesOf(() => upkeepIn(stack, { topic, emails: ['a@example.com'] }), 'Shop/Upkeep: '),
      ['emails are for a topic of its own; they must be left out with topic.'],
    );
  });

  it('refuses a region without durable functions, unless it is named', () => {
    const [mistake] = mistakesOf(() => upkeepIn(stackIn('sa-east-1')), 'Shop/Upkeep: ');
    assert.match(String(mistake), /^env\.region is "sa-east-1", which has no Lambda durable functions/);
    upkeepIn(stackIn('sa-east-1'), { additionalDurableRegions: ['sa-east-1'] });
  });

  it('takes a region that is known later', () => {
    upkeepIn(new Stack(appWithoutBundles(), 'Shop'));
  });

  it('refuses the name of another in the same account and region, and no other', () => {
    const app = appWithoutBundles();
    const stack = stackIn('eu-central-1', app);
    upkeepIn(stack);
    const sentence =
      'deployment is "shop", as is that of Shop/Upkeep: their functions and alarms would have the same names. It must be another name, or the jobs of both share that Upkeep.';
    assert.deepEqual(
      mistakesOf(() => upkeepIn(stack, {}, 'Again'), 'Shop/Again: '),
      [sentence],
    );
    const env = { account: '111111111111', region: 'eu-central-1' };
    assert.deepEqual(
      mistakesOf(() => upkeepIn(new Stack(app, 'Shop2', { env })), 'Shop2/Upkeep: '),
      [sentence],
    );
    upkeepIn(new Stack(app, 'Elsewhere', { env: { ...env, region: 'eu-west-1' } }));
    upkeepIn(new Stack(app, 'Other', { env }), { deployment: 'shop-2' });
  });

  it('tells all its mistakes at once', () => {
    assert.throws(() => upkeepIn(stackIn(), { timeZone: 'Foo/Bar', emails: ['nonsense'] }), {
      message: [
        'Shop/Upkeep has 2 mistakes:',
        '- timeZone is "Foo/Bar"; it must be an IANA time zone such as Europe/Berlin.',
        '- emails[0] is "nonsense"; it must be an e-mail address.',
      ].join('\n'),
    });
  });
});

describe('a job', () => {
  const time = 'it must be a local time HH:MM, from 00:00 to 23:59.';
  const schedule = 'it must be an object with "at", such as { at: \'02:30\' }.';
  const MISTAKES: Mistaken[] = [
    ...['noon', '25:99', '2:15'].map(
      (at): Mistaken => [`the time ${at}`, { schedule: { at } }, `schedule.at is "${at}"; ${time}`],
    ),
    ['a cron expression', { schedule: 'cron(0 2 * * ? *)' }, `schedule is "cron(0 2 * * ? *)"; ${schedule}`],
    [
      'a day that is none',
      { schedule: { at: '01:30', weekday: 'Sunday' } },
      'schedule.weekday is "Sunday"; it must be one of monday, tuesday, wednesday, thursday, friday, saturday, sunday.',
    ],
    [
      'a field of another kind of schedule',
      { schedule: { at: '01:30', flexibleMinutes: 15 } },
      'schedule.flexibleMinutes is not a known field; did you mean "flexibleWindow"? Allowed here: at, weekday, dayOfMonth, flexibleWindow.',
    ],
    [
      'seconds in a flexible window',
      { schedule: { at: '01:30', flexibleWindow: Duration.seconds(90) } },
      'schedule.flexibleWindow is 1 minute 30 seconds; it must be a Duration from 0 minutes to 1 day, of whole minutes.',
    ],
    [
      'a time outside the window',
      { schedule: { at: '06:00' } },
      'schedule.at is "06:00"; it must lie inside the downtime window, from 01:00 to 05:00.',
    ],
    [
      'a time whose flexible window leaves the window',
      { schedule: { at: '04:50', flexibleWindow: Duration.minutes(15) }, timeLimit: Duration.minutes(5) },
      'schedule.at is "04:50"; it must lie with its 15 flexible minutes inside the downtime window, from 01:00 to 05:00.',
    ],
    [
      'a time limit longer than the window',
      { timeLimit: Duration.hours(5) },
      'timeLimit is 300 minutes; it must be at most the 240 of the downtime window, from 01:00 to 05:00.',
    ],
    [
      'such a time limit without a schedule',
      { timeLimit: Duration.hours(5), schedule: undefined },
      'timeLimit is 300 minutes; it must be at most the 240 of the downtime window, from 01:00 to 05:00.',
    ],
    [
      'a number for a time limit',
      { timeLimit: 90 },
      'timeLimit is 90; it must be a Duration from 1 minute to 1 day.',
    ],
    [
      'a text as memory',
      { memorySize: '512MB' },
      'memorySize is "512MB"; it must be a whole number from 128 to 10240.',
    ],
    [
      'a network without a VPC',
      { network: {} },
      'network.vpc is missing; it must be a VPC, such as Vpc.fromVpcAttributes(…).',
    ],
    [
      'jobs to wait for as a text',
      { waitsFor: 'prune' },
      'waitsFor is "prune"; it must be a list of names of jobs.',
    ],
    [
      'an entry that is not there',
      { entry: '/nowhere/handler.ts' },
      'entry is "/nowhere/handler.ts"; it must be the path of a file that is there.',
    ],
    ['no Upkeep', { upkeep: undefined }, 'upkeep is missing; it must be the Upkeep of its deployment.'],
    [
      'an empty description',
      { description: '' },
      'description is ""; it must be a text of at most 200 characters.',
    ],
    [
      'a schedule that is misspelled, without which it would never run',
      { schedule: undefined, shedule: { at: '01:30' } },
      'shedule is not a known field; did you mean "schedule"? Allowed here: upkeep, job, description, entry, importsToLeaveOut, rdsRegions, settings, schedule, timeLimit, conflictsWith, waitsFor, outsideWindow, network, memorySize.',
    ],
    ...(['weekday', 'dayOfMonth'] as const).map(
      (name): Mistaken => [
        `a ${name} that is undefined`,
        { schedule: { at: '01:30', [name]: undefined } },
        `schedule.${name} is undefined; it must be a day, or left out for a run each day.`,
      ],
    ),
    ...['start-run', 'report-lost-run', 'rotate-secret', 'callback-relay'].map(
      (job): Mistaken => [
        `the name ${job}, which another function has`,
        { job },
        `job is "${job}", the name of a function that is there for all jobs; it must be another one.`,
      ],
    ),
  ];
  for (const [what, change, sentence] of MISTAKES)
    it(`refuses ${what}`, () => {
      assert.deepEqual(
        mistakesOf(() => jobIn(upkeepIn(stackIn()), change), 'Shop/Reindex: '),
        [sentence],
      );
    });

  it('refuses a time that daylight saving skips, on its own day of the week', () => {
    const upkeep = upkeepIn(stackIn());
    const [mistake] = mistakesOf(() => jobIn(upkeep, { schedule: { at: '02:30' } }), 'Shop/Reindex: ');
    assert.match(String(mistake), /^schedule\.at is "02:30", a time that Europe\/Berlin skips/);
    jobIn(upkeep, { schedule: { at: '02:30', weekday: 'monday' } }, 'Weekly');
  });

  it('may be at any time if it may run outside the window, but at no time that is none', () => {
    const upkeep = upkeepIn(stackIn());
    const anyTime = { outsideWindow: true, timeLimit: Duration.hours(6) };
    jobIn(upkeep, { ...anyTime, schedule: { at: '12:00' } });
    const [mistake] = mistakesOf(
      () => jobIn(upkeep, { ...anyTime, job: 'other', schedule: { at: '02:30' } }, 'Other'),
      'Shop/Other: ',
    );
    assert.match(String(mistake), /^schedule\.at is "02:30", a time that Europe\/Berlin skips/);
  });

  it('refuses the name of another job of its deployment', () => {
    const upkeep = upkeepIn(stackIn());
    jobIn(upkeep);
    assert.deepEqual(
      mistakesOf(() => jobIn(upkeep, {}, 'Again'), 'Shop/Again: '),
      ['job is "reindex", as is that of Shop/Reindex; it must be a name of its own among the jobs of shop.'],
    );
  });

  it('refuses to be in another stack than its Upkeep, but not in one nested in it', () => {
    const app = appWithoutBundles();
    const upkeep = upkeepIn(stackIn('eu-central-1', app));
    const other = new Stack(app, 'Other', { env: { account: '111111111111', region: 'eu-central-1' } });
    const props = { job: 'reindex', description: 'Reindexes', entry: ENTRY, settings: {} };
    const timed = { ...props, upkeep, schedule: { at: '01:30' }, timeLimit: Duration.hours(2) };
    assert.deepEqual(
      mistakesOf(() => new UpkeepJob(other, 'Reindex', timed), 'Other/Reindex: '),
      [
        'upkeep is of the stack Shop; it must be of the stack of the job, Other. What is in other stacks, such as services, can be given to the job itself.',
      ],
    );
    new UpkeepJob(new NestedStack(Stack.of(upkeep), 'Nested'), 'Reindex', timed);
  });

  it('refuses durations that are known only later', () => {
    const stack = stackIn();
    const timeLimit = Duration.minutes(new CfnParameter(stack, 'Minutes', { type: 'Number' }).valueAsNumber);
    assert.match(
      String(mistakesOf(() => jobIn(upkeepIn(stack), { timeLimit }), 'Shop/Reindex: ')),
      /^timeLimit is .*; it must be a Duration from 1 minute to 1 day\.$/,
    );
  });

  it('refuses a token where the synthesis computes with the text', () => {
    const stack = stackIn();
    const at = new CfnParameter(stack, 'At').valueAsString;
    assert.match(
      String(mistakesOf(() => jobIn(upkeepIn(stack), { schedule: { at } }), 'Shop/Reindex: ')),
      /^schedule\.at is "\$\{Token\[.*\]\}"; it must be a local time/,
    );
  });

  it('refuses, when all are there, to conflict with a job that is not', () => {
    const upkeep = upkeepIn(stackIn());
    jobIn(upkeep, { conflictsWith: ['prune', 'purge', { job: 'absent', optional: true }] });
    commandIn(upkeep);
    assert.throws(
      () => Template.fromStack(Stack.of(upkeep)),
      /Shop\/Reindex: conflictsWith\[1\] is "purge", which is no job of shop; it must be one of reindex, prune\./,
    );
  });

  it('refuses an entry without a handler, when it is bundled', () => {
    for (const [name, content] of [
      ['none.mjs', 'export const run = async () => {};\n'],
      ['commonjs.cjs', 'exports.handler = async () => {};\n'],
    ] as const) {
      const entry = join(folder, name);
      writeFileSync(entry, content);
      const stack = stackIn('eu-central-1', new App({ outdir: mkdtempSync(join(folder, 'cdk-')) }));
      const make = () =>
        new UpkeepFunction(stack, 'Function', {
          functionName: 'shop-function',
          description: 'A function',
          entry,
          settings: {},
          timeout: Duration.minutes(1),
        });
      // The CDK says around it which asset it was.
      assert.throws(make, (error) =>
        String(error).includes(
          `Shop/Function: entry is "${entry}", which exports no handler; it must have export const handler = …`,
        ),
      );
    }
  });

  it('refuses settings that do not fit into its environment, also those that are put together last', () => {
    const upkeep = upkeepIn(stackIn());
    jobIn(upkeep, { settings: { names: 'x'.repeat(5000), account: Aws.ACCOUNT_ID } });
    assert.throws(
      () => Template.fromStack(Stack.of(upkeep)),
      /Shop\/Reindex\/Function: the settings take 50\d\d bytes, of which 3968 fit into the function's environment/,
    );
  });

  it('refuses a network without a private subnet', () => {
    const stack = stackIn();
    const vpc = Vpc.fromVpcAttributes(stack, 'Vpc', {
      vpcId: 'vpc-1',
      availabilityZones: ['eu-central-1a'],
      publicSubnetIds: ['subnet-1'],
    });
    assert.deepEqual(
      mistakesOf(() => jobIn(upkeepIn(stack), { network: { vpc } }), 'Shop/Reindex'),
      ['network.vpc has no private subnet; it must have one, or the subnets must be given.'],
    );
  });
});

describe('a command in containers', () => {
  const command =
    'it must be a list of the program and its arguments, such as ["/srv/prune", "--all"], or { script } for the container\'s sh.';
  const services = 'it must be a list of 1 to 50 ECS services, or their names.';
  const arn = 'arn:aws:ecs:eu-central-1:111111111111:service/shop/web';
  const MISTAKES: Mistaken[] = [
    ['a command as one text', { command: '/srv/prune --all' }, `command is "/srv/prune --all"; ${command}`],
    ['an empty command', { command: [] }, `command is []; ${command}`],
    ['an empty program', { command: [''] }, `command is [""]; ${command}`],
    ['a program of spaces', { command: [' '] }, `command is [" "]; ${command}`],
    ['an empty script', { command: { script: ' \n' } }, `command is {"script":" \\n"}; ${command}`],
    [
      'a script of comments alone',
      { command: { script: '# soon\n\n  # /srv/prune' } },
      `command is {"script":"# soon\\n\\n # /srv/prune"}; ${command}`,
    ],
    [
      'a script with the line ends of Windows',
      { command: { script: 'rm -f /srv/cache/*\r\necho done\r\n' } },
      "command.script has lines that end with a carriage return (CRLF), which sh takes for a part of the line's last word; each line must end with a line feed alone.",
    ],
    ['no Upkeep', { upkeep: undefined }, 'upkeep is missing; it must be the Upkeep of its deployment.'],
    [
      'a text where it must be said whether',
      { keepOutput: 'no' },
      'keepOutput is "no"; it must be true or false.',
    ],
    [
      'a number as a variable',
      { environment: { DAYS: 30 } },
      'environment.DAYS is not what it must be: a text.',
    ],
    ['no role', { roles: {} }, 'roles are missing; at least one role must be given.'],
    ['no roles', { roles: undefined }, 'roles is missing; it must be an object with a name for each role.'],
    [
      'no services',
      { roles: { web: { services: [], container: 'app' } } },
      `roles.web.services is []; ${services}`,
    ],
    [
      'services that are left out',
      { roles: { web: { container: 'app' } } },
      `roles.web.services is missing; ${services}`,
    ],
    [
      'the ARN of a service',
      { roles: { web: { services: [arn], container: 'app' } } },
      `roles.web.services[0] is "${arn}"; it must be the name of an ECS service, or the service itself.`,
    ],
    [
      'a service twice',
      { roles: { web: { services: ['web', 'web'], container: 'app' } } },
      'roles.web.services[1] is "web", as roles.web.services[0] is; each must be named once.',
    ],
    [
      'a container in two roles',
      {
        roles: { web: { services: ['web'], container: 'app' }, all: { services: ['web'], container: 'app' } },
      },
      'roles.all.services[0] is "web", as is roles.web.services[0], with the same container; work must be done in each once.',
    ],
    [
      'the ARN of a cluster',
      { cluster: 'arn:aws:ecs:eu-central-1:111111111111:cluster/shop' },
      'cluster is "arn:aws:ecs:eu-central-1:111111111111:cluster/shop"; it must be the name of an ECS cluster, or the cluster itself.',
    ],
    [
      'services by name, of no cluster',
      { cluster: undefined },
      'cluster is missing; it must be the cluster of the services that are given by name, or its name.',
    ],
    [
      'a time-out that the run does not live to see',
      { timeout: Duration.hours(2) },
      'timeout is 2 hours; it must be less than the 2 hours of timeLimit.',
    ],
    [
      'a number for a time limit',
      { timeLimit: 90 },
      'timeLimit is 90; it must be a Duration from 1 minute to 1 day.',
    ],
    [
      'a property that is misspelled, by its case alone too',
      { timeOut: Duration.minutes(5) },
      'timeOut is not a known field; did you mean "timeout"? Allowed here: job, description, roles, in, taskDefinition, environment, secrets, stdin, command, stopAtFirstFailure, keepOutput, upkeep, cluster, schedule, timeLimit, timeout, reach, concurrency, retryFailed, conflictsWith.',
    ],
    [
      'a time that is none, as its own mistake',
      { schedule: { at: '25:99' } },
      'schedule.at is "25:99"; it must be a local time HH:MM, from 00:00 to 23:59.',
    ],
    [
      'less at once than roles',
      {
        concurrency: 1,
        roles: {
          web: { services: ['web'], container: 'app' },
          worker: { services: ['worker'], container: 'app' },
        },
      },
      'concurrency is 1; it must be at least 2, for each of the roles needs one.',
    ],
  ];
  for (const [what, change, sentence] of MISTAKES)
    it(`refuses ${what}`, () => {
      assert.deepEqual(
        mistakesOf(() => commandIn(upkeepIn(stackIn()), change), 'Shop/Prune: '),
        [sentence],
      );
    });

  it('warns of a service of the app into whose containers ECS Exec does not come', () => {
    for (const [enableExecuteCommand, warnings] of [
      [
        undefined,
        [
          'The service Shop/Web has no enableExecuteCommand: true, without which ECS Exec comes into none of its containers. [ack: wa-upkeep:noExecuteCommand]',
        ],
      ],
      [true, []],
    ] as const) {
      const stack = stackIn();
      const taskDefinition = new FargateTaskDefinition(stack, 'Task');
      taskDefinition.addContainer('app', { image: ContainerImage.fromRegistry('shop') });
      const cluster = new Cluster(stack, 'Cluster', { vpc: new Vpc(stack, 'Vpc') as IVpc }) as ICluster;
      const web = new FargateService(stack, 'Web', {
        ...{ cluster, taskDefinition, minHealthyPercent: 50 },
        ...(enableExecuteCommand && { enableExecuteCommand }),
      });
      const roles = { web: { services: [web], container: 'app' } };
      commandIn(upkeepIn(stack), { cluster: undefined, roles });
      Template.fromStack(stack);
      assert.deepEqual(
        Annotations.fromStack(stack)
          .findWarning('*', Match.stringLikeRegexp('enableExecuteCommand'))
          .map(({ entry }) => entry.data),
        warnings,
      );
    }
  });

  it('runs weekly too, and on demand alone', () => {
    const upkeep = upkeepIn(stackIn());
    const { job } = commandIn(upkeep, { schedule: { at: '01:30', weekday: 'sunday' } });
    assert.ok(job.missedAlarm);
    const stack = stackIn();
    assert.equal(commandIn(upkeepIn(stack), { schedule: undefined }).job.missedAlarm, undefined);
    Template.fromStack(stack).resourceCountIs('AWS::Scheduler::Schedule', 0);
  });
});

describe('each construct', () => {
  const CONSTRUCTS: [string, new (scope: Stack, id: string, props: Anything) => unknown][] = Object.entries({
    ...{ AlarmTopic, CallbackRelay, ContainerCommandJob, CredentialRotation, MediaVolume, MediaVolumeAlarms },
    ...{ OverviewDashboard, ReloadOnChange, RunQueries, Upkeep, UpkeepDashboard, UpkeepJob },
  });
  for (const [name, Construct] of CONSTRUCTS)
    it(`tells that its properties are missing: ${name}`, () => {
      const [mistake] = mistakesOf(() => new Construct(stackIn(), 'It', undefined), 'Shop/It: ');
      assert.equal(mistake, 'The properties are missing; they must be an object.');
    });
});

describe('a media volume', () => {
  const volumeOf = (stack: Stack, change: Anything) => {
    const vpc = new Vpc(stack, 'Vpc', { availabilityZones: ['eu-central-1a'] });
    return new MediaVolume(stack, 'Volume', {
      ...{ deployment: 'shop', vpc: vpc as IVpc, subnets: vpc.privateSubnets },
      ...change,
    });
  };
  const MISTAKES: Mistaken[] = [
    ['the names of subnets', { subnets: ['subnet-1'] }, 'subnets[0] is "subnet-1"; it must be a subnet.'],
    [
      'the name of a client',
      { clients: ['sg-1'] },
      'clients[0] is "sg-1"; it must be what has connections, such as a service or a security group.',
    ],
    ['a role that is no list', { roleArns: 'arn' }, 'roleArns is "arn"; it must be a list of ARNs of roles.'],
  ];
  for (const [what, change, sentence] of MISTAKES)
    it(`refuses ${what}`, () => {
      assert.deepEqual(
        mistakesOf(() => volumeOf(stackIn(), change), 'Shop/Volume: '),
        [sentence],
      );
    });
});
