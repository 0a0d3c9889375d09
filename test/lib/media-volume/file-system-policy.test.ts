import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { PolicyDocument } from '../../../rehearsal/aws/policy/document.ts';
import { type Access, denial } from '../../../rehearsal/aws/policy/policy.ts';
import { ofType, resourcesOf, textOf } from '../template.ts';
import { ACCOUNT, taskOf, volumeStack } from './volumes.ts';

/** How the ARNs of what the policies name begin. */
const ARNS: Record<string, string> = {
  'AWS::EFS::FileSystem': `arn:aws:elasticfilesystem:eu-west-1:${ACCOUNT}:file-system/`,
  'AWS::EFS::AccessPoint': `arn:aws:elasticfilesystem:eu-west-1:${ACCOUNT}:access-point/`,
  'AWS::IAM::Role': `arn:aws:iam::${ACCOUNT}:role/`,
};

describe('who may mount a media volume', () => {
  const { mount } = mounting();
  const everything: PolicyDocument = {
    Version: '2012-10-17',
    Statement: { Effect: 'Allow', Action: '*', Resource: '*' },
  };

  it('is a named role that its own policy lets, by TLS and the access point', () => {
    for (const action of ['ClientMount', 'ClientWrite', 'ClientRootAccess'])
      assert.equal(mount({ action }), undefined);
  });

  it('is no role that is not named, whatever its own policy allows', () => {
    for (const policies of [[everything], [everything, ...mounting().policies], []])
      assert.match(
        mount({ role: 'somebody', policies }) ?? '',
        policies.length > 0 ? /explicit deny in a resource-based policy/ : /explicit deny/,
      );
  });

  it('is no role of the same name in another account or path', () => {
    for (const identityArn of [
      'arn:aws:iam::222222222222:role/latam-webapp',
      `arn:aws:iam::${ACCOUNT}:role/other/latam-webapp`,
      `arn:aws:iam::${ACCOUNT}:role/latam-webapp2`,
      `arn:aws:iam::${ACCOUNT}:user/latam-webapp`,
      `arn:aws:iam::${ACCOUNT}:root`,
    ])
      assert.match(mount({ identityArn, policies: [everything] }) ?? '', /explicit deny/, identityArn);
  });

  it('is nobody without TLS', () => {
    for (const policies of [undefined, [everything]])
      assert.match(
        mount({ conditions: { 'aws:securetransport': 'false' }, ...(policies && { policies }) }) ?? '',
        /explicit deny/,
      );
  });

  it('is nobody without the access point', () => {
    for (const policies of [undefined, [everything]])
      assert.match(
        mount({
          conditions: { 'elasticfilesystem:AccessPointArn': undefined },
          ...(policies && { policies }),
        }) ?? '',
        /explicit deny/,
      );
  });

  it('is nobody who shows no identity, as a host that mounts by plain NFS', () => {
    assert.match(
      mount({ conditions: { 'aws:principalarn': undefined }, policies: [] }) ?? '',
      /explicit deny/,
    );
  });

  it('is no named role by another access point than the one that its own policy names', () => {
    assert.match(
      mount({
        conditions: {
          'elasticfilesystem:AccessPointArn': `arn:aws:elasticfilesystem:eu-west-1:${ACCOUNT}:access-point/other`,
        },
      }) ?? '',
      /no identity-based policy allows/,
    );
  });

  it('is a role made anew under its name, for the policy holds its ARN as text', () => {
    const { fileSystemPolicy } = mounting();
    const names = JSON.stringify(fileSystemPolicy);
    assert.match(names, /role\/latam-webapp"/);
    assert.ok([fileSystemPolicy.Statement].flat().every(({ Effect }) => Effect === 'Deny'));
  });

  it('is not everybody by a statement of the construct library', () => {
    const { stack, volume } = volumeStack();
    // Which adds such a statement once anything was granted.
    volume.fileSystem.grantReadWrite(
      new Role(stack, 'Reader', { assumedBy: new ServicePrincipal('ecs.amazonaws.com') }),
    );
    for (const [, { Properties }] of ofType(resourcesOf(stack), 'AWS::EFS::FileSystem'))
      for (const { Effect } of Properties.FileSystemPolicy.Statement) assert.equal(Effect, 'Deny');
  });
});

/** The volume of a task definition as its policies leave it: who asks, and whether they are refused. */
function mounting() {
  const { stack, volume } = volumeStack();
  volume.mountOn(taskOf(stack), { container: 'wa-web' });
  const resources = resourcesOf(stack);
  const read = (type: string, property: string): PolicyDocument[] =>
    ofType(resources, type).map(([, { Properties }]) => texts(Properties[property], resources));
  const policies = read('AWS::IAM::Policy', 'PolicyDocument');
  const [fileSystemPolicy = { Statement: [] }] = read('AWS::EFS::FileSystem', 'FileSystemPolicy');
  const [accessPointArn] = Object.values(
    [policies[0]?.Statement].flat()[0]?.Condition?.StringEquals ?? {},
  ) as string[];
  const mount = (asked: {
    action?: string;
    role?: string;
    identityArn?: string;
    policies?: PolicyDocument[];
    conditions?: Access['conditions'];
  }): string | undefined => {
    const role = asked.role ?? 'latam-webapp';
    const identityArn = asked.identityArn ?? `arn:aws:iam::${ACCOUNT}:role/${role}`;
    return denial({
      principal: {
        kind: 'identity',
        arn: `arn:aws:sts::${ACCOUNT}:assumed-role/${role}/task`,
        identityArn,
        account: identityArn.split(':')[4] ?? '',
        policies: asked.policies ?? policies,
      },
      action: `elasticfilesystem:${asked.action ?? 'ClientMount'}`,
      resource: [[policies[0]?.Statement].flat()[0]?.Resource].flat()[0] ?? '',
      account: ACCOUNT,
      resourcePolicies: [fileSystemPolicy],
      conditions: {
        'elasticfilesystem:AccessPointArn': accessPointArn,
        ...asked.conditions,
      },
    });
  };
  return { mount, policies, fileSystemPolicy };
}

/** A policy of a template with every intrinsic function as text. */
function texts(document: unknown, resources: ReturnType<typeof resourcesOf>): PolicyDocument {
  const walk = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value)) return value.map(walk);
    const [key = ''] = Object.keys(value);
    const [id = '', attribute] = 'Fn::GetAtt' in value ? (value['Fn::GetAtt'] as string[]) : [];
    const arn = attribute === 'Arn' ? ARNS[resources[id]?.Type ?? ''] : undefined;
    if (arn) return `${arn}${resources[id]?.Properties.RoleName ?? id}`;
    if (key === 'Ref' || key.startsWith('Fn::')) return textOf(value, resources);
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, walk(item)]));
  };
  return walk(document) as PolicyDocument;
}
