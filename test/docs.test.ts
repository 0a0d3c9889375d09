import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { loadConfiguration } from '../lib/whatsapp/configuration/configuration.ts';
import { UpkeepStack } from '../lib/whatsapp/upkeep-stack.ts';
import { securityDocument } from './docs/permissions-table.ts';
import { rollSizeTable } from './docs/roll-size.ts';
import { runSizeTable } from './docs/run-size.ts';

// Nothing is bundled: only what the templates say counts here.
const app = new App({ context: { 'aws:cdk:bundling-stacks': [] } });
const stacks = (await loadConfiguration('upkeep.config.ts')).map(
  (deployment) => new UpkeepStack(app, `upkeep-${deployment.name}`, { deployment }),
);
const templates = stacks.map((stack) => ({
  deployment: stack.upkeep.deployment,
  template: Template.fromStack(stack),
}));

test('docs/operations.md explains every alarm', () => {
  const operations = readFileSync('docs/operations.md', 'utf8');
  for (const { deployment, template } of templates) {
    const jobs = Object.values(template.findResources('AWS::Lambda::Function')).flatMap(
      ({ Properties: lambda }) =>
        lambda.DurableConfig ? lambda.FunctionName.slice(deployment.length + 1) : [],
    );
    // Those that each job has.
    const ofJob = new RegExp(
      `^${deployment}-(${jobs.join('|')})-(crashing|dead-letters|failed|lost|missed|partial)$`,
    );
    for (const alarm of Object.values(template.findResources('AWS::CloudWatch::Alarm'))) {
      const name = String(alarm.Properties.AlarmName)
        .replace(ofJob, 'DEPLOYMENT-JOB-$2')
        .replace(`${deployment}-`, 'DEPLOYMENT-')
        .replace(/-credential-rotation-stopped-.+$/, '-credential-rotation-stopped-SERVICE')
        .replace(/-database-size-[\w-]+?-(large|several-calls|growth|media)$/, '-database-size-SET-$1');
      assert.ok(operations.includes(`\`${name}\``), name);
    }
  }
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

test('the jobs of which docs/operations.md says that no number of containers matters to them cannot ask for tasks', () => {
  assert.match(
    readFileSync('docs/operations.md', 'utf8'),
    /No number of containers matters to message-gc, media-gc, database-size and upgrade-check:\nnone of them may ask/,
  );
  for (const { template } of templates)
    for (const [name, policy] of Object.entries(template.findResources('AWS::IAM::Policy')))
      if (/^(MessageGc|MediaGc|DatabaseSize|UpgradeCheck)/.test(name))
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
