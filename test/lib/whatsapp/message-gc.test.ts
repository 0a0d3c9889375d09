import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { MessageGcSettings } from '../../../functions/message-gc/contract.ts';
import { checkConfiguration, type Deployment } from '../../../lib/whatsapp/configuration/configuration.ts';
import { ENDPOINT_SERVICES } from '../../../lib/whatsapp/endpoint-services.ts';
import sample from '../../../upkeep.config.ts';
import { roleStatements } from '../links.ts';
import { ofType, REPOSITORY, type Resource, resourcesOf, sampleStack, textOf } from '../template.ts';

const SECRET = 'arn:aws:secretsmanager:eu-central-1:222222222222:secret:whatsapp/emea/database-size-g7H8i9';
const KEY = 'arn:aws:kms:eu-central-1:222222222222:key/12345678-1234-1234-1234-123456789012';

type Databases = NonNullable<Deployment['databases']>;

/** The sample's deployment with databases and no job but message-gc, after a change to what was configured. */
function resourcesWith({
  databases: change = (databases) => databases,
  tellRows = true,
}: {
  databases?: (databases: Databases) => Databases;
  tellRows?: boolean;
} = {}): Record<string, Resource> {
  const checked = checkConfiguration(sample, { file: 'upkeep.config.ts', folder: REPOSITORY });
  const { databases, jobs } = checked.find(({ name }) => name === 'emea') ?? {};
  assert.ok(databases && jobs?.messageGc);
  const stack = sampleStack('emea', {
    databases: change(databases),
    // Its look at the traffic has a right of the same kind.
    jobs: { messageGc: { ...jobs.messageGc, tellRows, watchWindow: undefined } },
    upgradeCheck: undefined,
    mediaVolume: undefined,
  });
  return resourcesOf(stack);
}

function settingsOf(resources: Record<string, Resource>): MessageGcSettings {
  const [job] = ofType(resources, 'AWS::Lambda::Function').filter(
    ([, { Properties: properties }]) => properties.FunctionName === 'emea-message-gc',
  );
  const text = textOf(job?.[1].Properties.Environment.Variables.UPKEEP_SETTINGS, resources);
  return JSON.parse(text.replaceAll(/[\n\r]/g, '\\n'));
}

/** Which it has for the rows: [Sid, actions, resources, condition]. */
function rightsOf(resources: Record<string, Resource>): string[][] {
  const role = Object.keys(resources).find((id) => /^MessageGcJobFunctionRole\w{8}$/.test(id));
  return roleStatements(resources, role ?? '')
    .filter(({ Sid }) => /Database|Past/.test(Sid ?? ''))
    .map(({ Sid = '', Action, Resource, Condition }) => [
      Sid,
      Action.join(),
      textOf(Resource, resources),
      ...(Condition ? [JSON.stringify(Condition)] : []),
    ]);
}

function endpointsOf(resources: Record<string, Resource>): string[] {
  return ofType(resources, 'AWS::EC2::VPCEndpoint')
    .map(([, { Properties: endpoint }]) => String(endpoint.ServiceName).replace(/^.*\./, ''))
    .sort();
}

describe('message-gc of a client whose databases are configured', () => {
  it("looks for messages in each prefix's messageStore, with the user of the sizes", () => {
    const resources = resourcesWith({
      databases: ([first, ...others]) =>
        first ? [first, { ...first, prefix: 'wa2_', engine: 'mysql', port: 3306 }, ...others] : [],
    });
    const address = { host: 'database.emea.internal', certificateAuthority: 'rds' };
    assert.deepEqual(settingsOf(resources).sets, [
      {
        name: 'wa1',
        database: { engine: 'postgres', port: 5432, ...address },
        secretArn: SECRET,
        databases: ['wa1_messageStore'],
      },
      {
        name: 'wa2',
        database: { engine: 'mysql', port: 3306, ...address },
        secretArn: SECRET,
        databases: ['wa2_messageStore'],
      },
    ]);
  });

  it('may read the secret, with its key, and the past of metrics, and reaches CloudWatch', () => {
    const resources = resourcesWith({
      databases: (databases) =>
        databases.map((each) => ({ ...each, user: { secretArn: SECRET, encryptionKeyArn: KEY } })),
    });
    assert.deepEqual(rightsOf(resources), [
      ['ReadDatabaseUser0', 'secretsmanager:GetSecretValue', SECRET],
      [
        'DecryptDatabaseUser0',
        'kms:Decrypt',
        KEY,
        JSON.stringify({
          StringEquals: {
            'kms:ViaService': 'secretsmanager.eu-central-1.amazonaws.com',
            'kms:EncryptionContext:SecretARN': SECRET,
          },
        }),
      ],
      ['ReadPastMetrics', 'cloudwatch:GetMetricData', '*'],
    ]);
    assert.deepEqual(endpointsOf(resources), [...ENDPOINT_SERVICES['message-gc with databases']].sort());
  });

  it('has neither sets nor rights nor an endpoint for them where it is not to tell the rows', () => {
    const resources = resourcesWith({ tellRows: false });
    assert.equal(settingsOf(resources).sets, undefined);
    assert.deepEqual(rightsOf(resources), []);
    assert.deepEqual(endpointsOf(resources), [...ENDPOINT_SERVICES['message-gc']].sort());
  });

  it('tells no rows of databases for which no user is named', () => {
    const resources = resourcesWith({
      databases: (databases) => databases.map(({ user: _, ...each }) => each),
    });
    assert.equal(settingsOf(resources).sets, undefined);
    assert.deepEqual(rightsOf(resources), []);
  });

  it('is refused where the certificates do not fit into its environment, before Lambda does', () => {
    const certificateAuthority = 'x'.repeat(3000);
    assert.throws(
      () =>
        resourcesWith({
          databases: (databases) => databases.map((each) => ({ ...each, certificateAuthority })),
        }),
      /the settings take \d{4} bytes, of which 3968 fit .* no databases \(tellRows: false\)/,
    );
  });
});
