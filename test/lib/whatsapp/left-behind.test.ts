import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Template } from 'aws-cdk-lib/assertions';
import { sampleStack } from '../template.ts';

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

/** A version has the name of the function that it goes with. */
const GOES_WITH_ITS_FUNCTION = ['AWS::Lambda::Version', 'AWS::Lambda::Alias'];

const stacks = (['latam', 'emea', 'apac'] as const).map(
  (name) =>
    [
      name,
      Template.fromStack(sampleStack(name)).toJSON().Resources as Record<string, TemplateResource>,
    ] as const,
);

describe('a deploy that failed, or was taken away, can be repeated', () => {
  for (const [name, resources] of stacks) {
    it(`${name}: nothing with a fixed name outlives a rollback or a destroy`, () => {
      const outlive = Object.entries(resources).filter(
        ([, { Type, DeletionPolicy = 'Delete', Properties = {} }]) =>
          DeletionPolicy !== 'Delete' &&
          !GOES_WITH_ITS_FUNCTION.includes(Type) &&
          NAMES.some((property) => property in Properties),
      );
      assert.deepEqual(outlive, []);
    });

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
});
