import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Template } from 'aws-cdk-lib/assertions';
import type { ClientCredentialRotationSettings } from '../../../functions/client-credential-rotation/contract.ts';
import { checkConfiguration, type Deployment } from '../../../lib/whatsapp/configuration/configuration.ts';
import sample from '../../../upkeep.config.ts';
import { brokenLinks, roleStatements } from '../links.ts';
import {
  ofType,
  REPOSITORY,
  type Resource,
  resourcesOf,
  sampleStack,
  settingsOf,
  textOf,
} from '../template.ts';

type Rotation = NonNullable<Deployment['jobs']['credentialRotation']>;

/** The stack of a deployment of the sample whose rotation is configured otherwise. */
function changed(name: 'emea' | 'apac', change: Partial<Rotation>): Record<string, Resource> {
  const { jobs } =
    checkConfiguration(sample, { file: 'upkeep.config.ts', folder: REPOSITORY }).find(
      (deployment) => deployment.name === name,
    ) ?? {};
  assert.ok(jobs?.credentialRotation);
  return resourcesOf(
    sampleStack(name, { jobs: { ...jobs, credentialRotation: { ...jobs.credentialRotation, ...change } } }),
  );
}

function rotationOf(
  resources: Record<string, Resource>,
  deployment: string,
): ClientCredentialRotationSettings {
  return settingsOf(resources, `${deployment}-credential-rotation`);
}

/** What a role may do with keys: `actions on keys`. */
function keysOf(resources: Record<string, Resource>, role: RegExp): string[] {
  return ofType(resources, 'AWS::IAM::Role')
    .filter(([id]) => role.test(id))
    .flatMap(([id]) => roleStatements(resources, id))
    .filter(({ Action }) => Action.some((action) => action.startsWith('kms:')))
    .map(({ Action, Resource }) => `${Action.join(', ')} on ${textOf(Resource, resources)}`);
}

const apac = resourcesOf(sampleStack('apac'));
const emea = resourcesOf(sampleStack('emea'));
const ROLES = /^CredentialRotation.*Role\w{8}$/;

describe("the rotation of a client's database password", () => {
  it('replaces WebApps, Masters, CoreApps and then the others, and never two CoreApps at once', () => {
    assert.deepEqual(rotationOf(apac, 'apac').services, [
      { name: 'whatsapp-apac-WAEntWebService' },
      { name: 'whatsapp-apac-WAEntMasterService' },
      { name: 'whatsapp-apac-WAEntNotCECoreappService', oneAtATime: true },
      {
        name: 'whatsapp-apac-ms-WAMonitoringService',
        clusterArn: 'arn:aws:ecs:ap-south-1:333333333333:cluster/whatsapp-apac-ms-ECSCluster',
      },
    ]);
  });

  it('takes another order, and a service of another cluster, where they are configured', () => {
    const resources = changed('apac', {
      order: ['others', 'coreapp', 'webapp', 'master'],
      services: {
        webapp: ['web'],
        coreapp: ['core'],
        others: [{ name: 'exporter', clusterName: 'monitoring' }],
      },
    });
    const cluster = 'arn:aws:ecs:ap-south-1:333333333333:cluster/monitoring';
    assert.deepEqual(rotationOf(resources, 'apac').services, [
      { name: 'exporter', clusterArn: cluster },
      { name: 'core', oneAtATime: true },
      { name: 'web' },
    ]);
    const statements = ofType(resources, 'AWS::IAM::Role')
      .filter(([id]) => ROLES.test(id))
      .flatMap(([id]) => roleStatements(resources, id));
    const roll = statements.find(({ Sid }) => Sid === 'RollServices');
    assert.match(textOf(roll?.Resource, resources), /^\S+:service\/monitoring\/exporter, /);
    const stop = statements.find(({ Sid }) => Sid === 'ReplaceTasks');
    assert.match(textOf(stop?.Resource, resources), /^\S+:task\/monitoring\/\*, /);
    assert.match(textOf(stop?.Condition?.ArnEquals?.['ecs:cluster'], resources), /cluster\/monitoring, /);
  });

  it('is refused with an order that leaves out a role, whose containers could not log in any more', () => {
    assert.throws(
      () => changed('apac', { order: ['webapp', 'master', 'coreapp'] }),
      /the order leaves out others, whose containers would keep the old password/,
    );
  });

  it("writes the password where Meta's template keeps it, with the key of the stack", () => {
    const keyId = 'arn:aws:kms:ap-south-1:333333333333:key/0a1b2c3d-4e5f-6789-abcd-0123456789ab';
    assert.deepEqual(rotationOf(apac, 'apac').copies, [
      { kind: 'parameter', name: 'whatsapp-apac-WA_DB_PASSWORD', keyId },
      {
        kind: 'secret',
        secretArn: 'arn:aws:secretsmanager:ap-south-1:333333333333:secret:whatsapp-apac-ms-Secret-y7Z8a9',
        key: 'data_src_name',
        template: '{username}:{password}@(database.apac.internal:3306)/',
        encoding: 'raw',
      },
    ]);
    assert.deepEqual(keysOf(apac, ROLES), [`kms:Decrypt, kms:Encrypt, kms:GenerateDataKey on ${keyId}`]);
  });

  it('may use keys only where a secret or a copy has one of its own', () => {
    const own = keysOf(emea, ROLES);
    assert.deepEqual([...new Set(own)], ['kms:Decrypt on Key', 'kms:GenerateDataKey on Key']);
    const key = (name: string) => `arn:aws:kms:eu-central-1:222222222222:key/${name}`;
    const secretArn = 'arn:aws:secretsmanager:eu-central-1:222222222222:secret:other-a1B2c3';
    const resources = changed('emea', {
      secret: { secretArn: secretArn.replace('other', 'rotated'), encryptionKeyArn: key('rotated') },
      administrator: { secretArn: secretArn.replace('other', 'admin'), encryptionKeyArn: key('admin') },
      copies: {
        parameters: [
          { name: '/wa/login', encryptionKeyArn: key('parameter'), template: '{username} {password}' },
        ],
        secrets: [{ secretArn, key: 'url', encryptionKeyArn: key('copy'), template: undefined }],
      },
    });
    const named = (role: RegExp) => keysOf(resources, role).filter((sentence) => sentence.includes('arn:'));
    assert.deepEqual(named(/^CredentialRotationRotateSecretRole/), [
      `kms:Decrypt, kms:GenerateDataKey on ${key('rotated')}`,
      `kms:Decrypt on ${key('admin')}`,
    ]);
    assert.deepEqual(named(/^CredentialRotationJob/), [
      `kms:Decrypt on ${key('rotated')}`,
      `kms:Decrypt on ${key('admin')}`,
      `kms:Decrypt, kms:Encrypt, kms:GenerateDataKey on ${key('parameter')}`,
      `kms:Decrypt, kms:GenerateDataKey on ${key('copy')}`,
    ]);
  });

  it('waits for the jobs that a restart would cut off, and they do not begin beside it', () => {
    const { jobs } = settingsOf(emea, 'emea-start-run');
    assert.deepEqual(jobs['credential-rotation'].waitsFor, ['message-gc', 'media-gc', 'log-cleanup']);
    assert.equal(settingsOf(apac, 'apac-start-run').jobs['credential-rotation'].waitsFor, undefined);
    for (const job of ['message-gc', 'media-gc', 'log-cleanup'])
      assert.ok(jobs[job].conflictsWith.includes('credential-rotation'), job);
    assert.deepEqual(jobs['credential-rotation'].conflictsWith, []);
  });

  it('logs in to the server that databases name, and asks WebApp with its own certificate', () => {
    const { database, strategy, webApp } = rotationOf(emea, 'emea');
    assert.deepEqual(database, {
      engine: 'postgres',
      host: 'database.emea.internal',
      port: 5432,
      certificateAuthority: 'rds',
    });
    assert.deepEqual(strategy, {
      kind: 'alternating-users',
      users: ['whatsapp_a', 'whatsapp_b'],
      owner: 'whatsapp',
    });
    assert.equal(webApp.url, 'https://webapp.emea.internal');
    assert.match(webApp.certificateAuthority, /^-----BEGIN CERTIFICATE-----/);
  });

  it('has an alarm for each service, which names it', () => {
    const template = Template.fromStack(sampleStack('emea'));
    for (const service of ['webapp', 'master', 'coreapp'])
      template.hasResourceProperties('AWS::CloudWatch::Alarm', {
        AlarmName: `emea-credential-rotation-stopped-${service}`,
        MetricName: 'RollsStopped',
        Dimensions: [
          { Name: 'deployment', Value: 'emea' },
          { Name: 'job', Value: 'credential-rotation' },
          { Name: 'service', Value: service },
        ],
      });
  });

  it('has all its links', () => {
    for (const resources of [apac, emea]) assert.deepEqual(brokenLinks(resources), []);
  });
});
