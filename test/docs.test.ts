import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { program } from '../bin/program.ts';
import { FAULTS } from '../rehearsal/faults/faults.ts';
import { defineShop } from '../rehearsal/shop/stack.ts';
import { constructsPage } from './docs/constructs-page.ts';
import { everyTemplate, securityDocument } from './docs/permissions-table.ts';
import { rollSizeTable } from './docs/roll-size.ts';
import { runSizeTable } from './docs/run-size.ts';

const templates = everyTemplate().map(({ name: deployment, template }) => ({ deployment, template }));
/** Of the general constructs, what the sample has not: several credentials, and what somebody else replaces. */
const shop = {
  deployment: 'shop',
  template: Template.fromStack(defineShop(new App({ context: { 'aws:cdk:bundling-stacks': [] } }), 'rds')),
};

/** Which parse by themselves. */
const PROGRAMS_OF_THEIR_OWN = ['migrate-to-alternating-users', 'rehearse'];

/** Alarms as docs/operations.md names them: of any deployment, job, service and set of databases. */
function alarmNames({ deployment, template }: (typeof templates)[number]): string[] {
  const jobs = Object.values(template.findResources('AWS::Lambda::Function')).flatMap(
    ({ Properties: lambda }) =>
      lambda.DurableConfig ? lambda.FunctionName.slice(deployment.length + 1) : [],
  );
  // Those that each job has.
  const ofJob = new RegExp(
    `^${deployment}-(${jobs.join('|')})-(crashing|dead-letters|failed|lost|missed|not-ready|partial)$`,
  );
  const stale = new RegExp(`^${deployment}-(${jobs.join('|')})-stale-.+$`);
  return Object.values(template.findResources('AWS::CloudWatch::Alarm')).map(({ Properties: alarm }) =>
    String(alarm.AlarmName)
      .replace(ofJob, 'DEPLOYMENT-JOB-$2')
      .replace(stale, 'DEPLOYMENT-JOB-stale-NAME')
      .replace(`${deployment}-`, 'DEPLOYMENT-')
      .replace(/-credential-rotation-stopped-.+$/, '-credential-rotation-stopped-SERVICE')
      .replace(/-credential-rotation-(age|unretired)-.+$/, '-credential-rotation-$1-NAME')
      .replace(/-rotate-secret-.+-failed$/, '-rotate-secret-NAME-failed')
      .replace(/-database-size-[\w-]+?-(large|several-calls|growth|media)$/, '-database-size-SET-$1'),
  );
}

/** Each section of an alarm, or of several: its names, and its text. */
function alarmSections(): { names: string[]; text: string }[] {
  const [, ...sections] = readFileSync('docs/operations.md', 'utf8').split(/^### (?=`DEPLOYMENT-)/m);
  return sections.map((section) => {
    const [heading = ''] = section.split('\n');
    return {
      names: [...heading.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name),
      text: section.split(/^## /m)[0] ?? '',
    };
  });
}

test('docs/operations.md has a section for every alarm, and an alarm for every section', () => {
  const named = alarmSections().flatMap(({ names }) => names);
  assert.deepEqual([...new Set(named)].sort(), named.sort(), 'an alarm has one section');
  const alarms = [...templates, shop].flatMap(alarmNames);
  assert.deepEqual([...new Set(alarms)].sort(), named.sort());
});

test('each section of an alarm says what it means, what to look at, what to do and how to test it', () => {
  for (const { names, text } of alarmSections())
    assert.match(
      text,
      /^- \*\*Means:\*\* \S.*\n- \*\*Look at:\*\* \S.*\n- \*\*Do:\*\* \S.*\n- \*\*Test:\*\* \S/m,
      names.join(', '),
    );
});

test('a fault that docs/operations.md names as the test of an alarm rings that alarm', () => {
  for (const { names, text } of alarmSections())
    for (const [, fault = ''] of text.matchAll(/--fault ([\w-]+)/g)) {
      const { alarms = [], alarmsOfLargeTables = [], onlyShown = [] } = FAULTS[fault]?.expected ?? {};
      const patterns = names.map(
        (name) =>
          new RegExp(
            `^${name.replace('DEPLOYMENT', '[a-z]+').replaceAll(/JOB|SERVICE|SET|NAME/g, '[\\w-]+')}$`,
          ),
      );
      const rings = [...alarms, ...alarmsOfLargeTables, ...onlyShown].some((alarm) =>
        patterns.some((each) => each.test(alarm)),
      );
      assert.ok(rings, `${fault} rings ${alarms}, not ${names}`);
    }
});

test('each command of the pages is understood by the command line, and each fault that they name is one', () => {
  let [commands, faults] = [0, 0];
  for (const page of ['README.md', ...globSync('docs/*.md')])
    for (const [, language = '', block = ''] of readFileSync(page, 'utf8').matchAll(
      /^```(\w*)\n([\s\S]*?)^```$/gm,
    ))
      for (const line of ['', 'sh'].includes(language) ? block.replaceAll(/\\\n\s*/g, '').split('\n') : []) {
        const [, fault] = /^npm start -- --fault ([\w-]+)/.exec(line) ?? [];
        if (fault) faults += 1;
        assert.ok(fault === undefined || fault in FAULTS, `${page}: ${line}`);
        const [, words] = /(?:npx|run -s) wa-upkeep (?:-- )?(.*)$/.exec(line.replace(/\s#.*$/, '')) ?? [];
        const [name, ...given] = [...(words ?? '').matchAll(/'([^']*)'|(\S+)/g)].map(
          (word) => word[1] ?? word[2] ?? '',
        );
        if (name === undefined || PROGRAMS_OF_THEIR_OWN.includes(name)) continue;
        const command = program().commands.find((each) => each.name() === name);
        assert.ok(command, `${page}: ${line}`);
        const { operands, unknown } = command.exitOverride().parseOptions(given);
        assert.deepEqual(unknown, [], `${page}: ${line}`);
        const wanted = command.registeredArguments.filter(({ required }) => required).length;
        assert.ok(operands.length >= wanted, `${page}: ${line}`);
        commands += 1;
      }
  assert.ok(commands > 15 && faults > 8, `${commands} ${faults}`);
});

test('docs/container-jobs.md has the table of what a run leaves on record, and all of it is within Lambda’s limits', async () => {
  const table = await runSizeTable();
  assert.ok(readFileSync('docs/container-jobs.md', 'utf8').includes(table), table);
  for (const line of table.split('\n').slice(2)) {
    const [operations = 0, largest = 0, longestName = 0] = line.split('|').slice(5, 8).map(Number);
    assert.ok(operations < 3_000 && largest < 262_144 && longestName <= 256, line);
  }
});

test('docs/operations.md has the table of what the roll of a rotation leaves on record, and all of it is within Lambda’s limits', async () => {
  const table = await rollSizeTable();
  assert.ok(readFileSync('docs/operations.md', 'utf8').includes(table), table);
  for (const line of table.split('\n').slice(2)) {
    const [operations = 0, largest = 0, longestName = 0] = line.split('|').slice(5, 8).map(Number);
    assert.ok(operations < 3_000 && largest < 262_144 && longestName <= 256, line);
  }
});

test('docs/operations.md has each job at 10, 1,000 and 5,000 containers, by the tables of what runs leave on record', () => {
  const [operations, containerJobs] = ['operations', 'container-jobs'].map((name) =>
    readFileSync(`docs/${name}.md`, 'utf8').split('\n'),
  );
  const cells = (lines: string[] = [], begin: string) =>
    (lines.find((line) => line.startsWith(begin)) ?? '').split('|').map((cell) => cell.trim());
  type Size = [operations: number, largest: number, longestName: number];
  const sizeOf = (row: string[], from: number) => row.slice(from, from + 3).map(Number) as Size;
  const inNight = (job: string) => sizeOf(cells(operations, `| ${job} |`), 2);
  const inContainers = (count: number) =>
    sizeOf(cells(containerJobs, `| ${count} | 30 minutes | 4 hours |`), 5);
  const rotation = (roll: Size): Size => {
    const [counted, largest, longestName] = inNight('credential-rotation');
    return [counted + roll[0], Math.max(largest, roll[1]), Math.max(longestName, roll[2])];
  };
  const roll = (count: number, how: string) =>
    rotation(sizeOf(cells(operations, `| ${count} | ${how} |`), 5));
  const said = (name: string) => cells(operations, `| ${name} |`);
  const expected: Record<string, (count: number) => Size | undefined> = {
    'log-cleanup, run-in-containers': inContainers,
    'credential-rotation, by deployments': (count) => roll(count, 'by a deployment'),
    // The last one is no row of the tables.
    'credential-rotation, one task by one': (count) => (count < 5000 ? roll(count, 'one by one') : undefined),
  };
  for (const [name, at] of Object.entries(expected)) {
    const row = said(name);
    for (const [index, count] of [10, 1000, 5000].entries()) {
      const size = at(count);
      if (size) assert.equal(row[index + 2], size.join(' / '), `${name}, ${count}`);
    }
  }
  const table = (operations ?? []).filter((line) => / \/ \d+ \/ \d+ \|$/.test(line));
  const independent = [
    'message-gc',
    'media-gc',
    'database-size',
    'application-settings',
    'upgrade-check',
    'run-in-new-task',
  ];
  for (const job of independent) {
    const cell = inNight(job).join(' / ');
    assert.ok(table.includes(`| ${job} | ${cell} | ${cell} | ${cell} |`), job);
  }
  assert.equal(table.length, Object.keys(expected).length + independent.length);
});

test('the jobs of which docs/operations.md says that no number of containers matters to them cannot ask for tasks', () => {
  assert.match(
    readFileSync('docs/operations.md', 'utf8'),
    /No number of containers matters to message-gc, media-gc, database-size, application-settings and upgrade-check:\nnone of them may ask for a task/,
  );
  for (const { template } of templates)
    for (const [name, policy] of Object.entries(template.findResources('AWS::IAM::Policy')))
      if (/^(MessageGc|MediaGc|DatabaseSize|ApplicationSettings|UpgradeCheck)/.test(name))
        assert.doesNotMatch(JSON.stringify(policy), /ecs:(ListTasks|DescribeTasks|\*)/, name);
});

test('docs/security.md gives a reason for every action of every role', () => {
  const security = readFileSync('docs/security.md', 'utf8');
  for (const { template } of templates) {
    const roles = Object.values(template.findResources('AWS::IAM::Role'));
    const documents = [
      ...Object.values(template.findResources('AWS::IAM::Policy')).map(
        ({ Properties: properties }) => properties.PolicyDocument,
      ),
      ...roles.flatMap(({ Properties: properties }) =>
        (properties.Policies ?? []).map((policy: { PolicyDocument: unknown }) => policy.PolicyDocument),
      ),
    ] as { Statement: { Action: string | string[] }[] }[];
    for (const action of documents.flatMap(({ Statement }) => Statement.flatMap(({ Action }) => Action)))
      assert.ok(security.includes(`\`${action}\``), action);
  }
});

test('docs/security.md has the table of permissions that the templates give (npm run docs writes it)', () => {
  const security = readFileSync('docs/security.md', 'utf8');
  assert.equal(security, securityDocument(security));
});

test('docs/constructs.md has each property of the general constructs, with its default and its meaning', () => {
  const page = readFileSync('docs/constructs.md', 'utf8');
  assert.equal(page, constructsPage(), 'run `npm run docs`');
  const without = page.split('\n').filter((line) => /^\| `\w+` \|.*\| *\|$/.test(line));
  assert.deepEqual(without, [], 'each says what it means');
  for (const construct of ['ContainerCommandJob', 'CredentialRotation', 'UpkeepDashboard'])
    assert.match(page, new RegExp(`^## \`${construct}\`$`, 'm'));
});
