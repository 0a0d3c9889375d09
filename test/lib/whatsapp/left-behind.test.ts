import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { credentialRotation } from '../../../examples/credential-rotation.ts';
import { cronInOneContainer } from '../../../examples/cron-in-one-container.ts';
import { nightlyCommand } from '../../../examples/nightly-command.ts';
import { nightlyMigration } from '../../../examples/nightly-migration.ts';
import { OverviewDashboard, Upkeep } from '../../../lib/index.ts';
import { ENV, mediaVolumeStack, migrationOf } from '../media-volume/volumes.ts';
import { appWithoutBundles, sampleStack } from '../template.ts';

interface TemplateResource {
  Type: string;
  Properties?: Record<string, unknown>;
  DeletionPolicy?: string;
  DependsOn?: string[];
}

/** The property with the physical name, of types that have one. Where it is set, another of the name cannot be made. */
const NAMES = [
  'AlarmName',
  'AliasName',
  'DashboardName',
  'FunctionName',
  'LogGroupName',
  'Name',
  'QueueName',
  'RoleName',
  'TopicName',
];

/** Properties that name something else, or only show a name, or name what goes with what it is a part of. */
const OTHER_NAMES = [
  'ApiName',
  'DisplayName',
  'EventBusName',
  'GroupName',
  'MetricName',
  'PolicyName',
  'ServiceName',
];

/** A version has the name of the function that it goes with. */
const GOES_WITH_ITS_FUNCTION = ['AWS::Lambda::Version', 'AWS::Lambda::Alias'];

const templateOf = (stack: Stack) =>
  Template.fromStack(stack).toJSON().Resources as Record<string, TemplateResource>;
const stacks = (['latam', 'emea', 'apac'] as const).map(
  (name) => [name, templateOf(sampleStack(name, { dashboards: true }))] as const,
);

/** What is made beside the upkeep: the media volume, what moves the media there, what shows several deployments, other jobs. */
const besides = (() => {
  const { app, stack: media } = mediaVolumeStack();
  const migration = new Stack(app, 'Migration', { env: ENV });
  migrationOf(migration, media.volume);
  const examples = appWithoutBundles();
  const all = [nightlyCommand, cronInOneContainer, nightlyMigration, credentialRotation].map((make) =>
    make(examples),
  );
  const overview = new Stack(examples, 'Overview', { env: ENV });
  const upkeeps = all.flatMap((stack) => stack.node.findAll().filter((each) => each instanceof Upkeep));
  new OverviewDashboard(overview, 'Dashboard', { deployments: upkeeps.map((upkeep) => ({ upkeep })) });
  return [
    ['the media volume', templateOf(media)],
    ['its migration', templateOf(migration)],
    ...all.map((stack) => [stack.stackName, templateOf(stack)] as const),
    ['the overview', templateOf(overview)],
  ] as const;
})();

/** Which properties name roles of the template, however deep. */
function namedRoles(
  properties: Record<string, unknown>,
  resources: Record<string, TemplateResource>,
): { property: string; role: string }[] {
  const rolesIn = (value: unknown): string[] => {
    if (typeof value !== 'object' || value === null) return [];
    const { Ref: ref, 'Fn::GetAtt': attribute } = value as { Ref?: string; 'Fn::GetAtt'?: [string, string] };
    const id = ref ?? attribute?.[0];
    if (id !== undefined) return resources[id]?.Type === 'AWS::IAM::Role' ? [id] : [];
    return Object.values(value).flatMap(rolesIn);
  };
  return Object.entries(properties).flatMap(([property, value]) =>
    rolesIn(value).map((role) => ({ property, role })),
  );
}

describe('a deploy that failed, or was taken away, can be repeated', () => {
  for (const [name, resources] of [...stacks, ...besides])
    it(`${name}: nothing with a fixed name outlives a rollback or a destroy`, () => {
      const outlive = Object.entries(resources).filter(
        ([, { Type, DeletionPolicy = 'Delete', Properties = {} }]) =>
          DeletionPolicy !== 'Delete' &&
          !GOES_WITH_ITS_FUNCTION.includes(Type) &&
          NAMES.some((property) => property in Properties),
      );
      assert.deepEqual(outlive, []);
    });

  it('of each property that could be a fixed name it is known whether it is', () => {
    const properties = [...stacks, ...besides].flatMap(([, resources]) =>
      Object.values(resources).flatMap(({ Properties = {} }) => Object.keys(Properties)),
    );
    const named = [...new Set(properties)].filter((property) => property.endsWith('Name'));
    assert.deepEqual(
      named.filter((property) => !NAMES.includes(property) && !OTHER_NAMES.includes(property)),
      [],
    );
  });

  it('of what outlives on purpose docs/operations.md says how the next deploy takes it over', () => {
    const operations = readFileSync('docs/operations.md', 'utf8');
    const section = operations.split('\n## ').find((text) => text.startsWith('A deploy that failed')) ?? '';
    const types = [...stacks, ...besides].flatMap(([, resources]) =>
      Object.values(resources).flatMap(({ Type, DeletionPolicy = 'Delete' }) =>
        DeletionPolicy === 'Delete' || GOES_WITH_ITS_FUNCTION.includes(Type) ? [] : [Type],
      ),
    );
    assert.ok(types.length > 0);
    for (const type of new Set(types)) assert.ok(section.includes(`\`${type}\``), type);
  });

  for (const [name, resources] of stacks) {
    it(`${name}: schedules are made last, when the role that Scheduler tries to assume is long there`, () => {
      const entries = Object.entries(resources);
      const schedules = entries.filter(([, { Type }]) => Type === 'AWS::Scheduler::Schedule');
      assert.ok(schedules.length > 0);
      for (const [id, { DependsOn: waitsFor = [] }] of schedules) {
        const types = waitsFor.map((other) => resources[other]?.Type);
        assert.ok(types.includes('AWS::Lambda::Alias'), `${id} waits for ${waitsFor.join(', ')}`);
      }
      // The role itself waits for nothing but the group that its trust names.
      const roles = entries.filter(([id]) => id.includes('SchedulerRole') && !id.includes('DefaultPolicy'));
      for (const [, { DependsOn: waitsFor = [] }] of roles) assert.deepEqual(waitsFor, []);
    });
  }

  it('nothing names a role of its own template but what is made in an order of its own, or waits for what that role may do', () => {
    const named = new Set<string>();
    for (const [, resources] of [...stacks, ...besides])
      for (const [id, { Type, Properties = {}, DependsOn: waitsFor = [] }] of Object.entries(resources)) {
        const roles = namedRoles(Properties, resources);
        for (const { property } of roles) named.add(`${Type}.${property}`);
        if (Type !== 'AWS::Lambda::Function') continue;
        // Lambda looks whether the role may send to the dead-letter queue and make network interfaces.
        const policies = Object.entries(resources).filter(
          ([, policy]) =>
            policy.Type === 'AWS::IAM::Policy' &&
            namedRoles(policy.Properties ?? {}, resources).some(({ role }) =>
              roles.some((own) => own.role === role),
            ),
        );
        assert.ok(policies.length > 0, id);
        for (const [policy] of policies) assert.ok(waitsFor.includes(policy), `${id} waits for ${policy}`);
      }
    assert.deepEqual([...named].sort(), [
      'AWS::DataSync::LocationEFS.FileSystemAccessRoleArn',
      'AWS::IAM::Policy.Roles',
      'AWS::Lambda::Function.Role',
      'AWS::Scheduler::Schedule.Target',
    ]);
  });

  it('the location that DataSync mounts as a role waits for what is made after the role', () => {
    const [, [, migration]] = besides;
    const entries = Object.entries(migration);
    const locations = entries.filter(([, { Type }]) => Type === 'AWS::DataSync::LocationEFS');
    const waitsFor = (id: string) => (migration[id]?.DependsOn ?? []).map((other) => migration[other]?.Type);
    const [[to] = [], ...others] = locations.filter(
      ([, { Properties }]) => Properties?.FileSystemAccessRoleArn,
    );
    const [[from] = []] = locations.filter(([id]) => id !== to);
    assert.ok(to && from && others.length === 0);
    assert.ok(migration[to]?.DependsOn?.includes(from));
    for (const id of [from, to])
      assert.ok(waitsFor(id).includes('AWS::IAM::Role') && waitsFor(id).includes('AWS::IAM::Policy'), id);
  });

  it('a secret gets its rotation function when the permission to call that is as old as the job is to make', () => {
    const rotations = stacks.flatMap(([, resources]) =>
      Object.values(resources).flatMap(({ Type, DependsOn = [] }) =>
        Type === 'AWS::SecretsManager::RotationSchedule'
          ? [DependsOn.map((other) => resources[other]?.Type)]
          : [],
      ),
    );
    assert.ok(rotations.length > 0);
    for (const waitsFor of rotations)
      for (const type of ['AWS::Lambda::Permission', 'AWS::IAM::Policy', 'AWS::Lambda::Alias'])
        assert.ok(waitsFor.includes(type), `${type} is not among ${waitsFor.join(', ')}`);
  });
});
