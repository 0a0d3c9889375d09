import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Stack } from 'aws-cdk-lib';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { type OtherCredential, PropsError } from '../../../lib/index.ts';
import { define } from '../../functions/credential-rotation/rotation-days.ts';
import { brokenLinks, roleStatements } from '../links.ts';
import { appWithoutBundles, ofType, resourcesOf, settingsOf } from '../template.ts';

const ACCOUNT = '111111111111';
const STOCK = `arn:aws:secretsmanager:eu-central-1:${ACCOUNT}:secret:shop/stock-a1B2c3`;
const DATABASE = {
  address: { engine: 'postgres', host: 'orders.internal', port: 5432, certificateAuthority: 'rds' },
  strategy: { kind: 'alternating-users', users: ['orders_a', 'orders_b'] },
} as const;

function stackWith(change: (stock: OtherCredential, scope: Stack) => object): Stack {
  const stack = new Stack(appWithoutBundles(), 'Shop', { env: { account: ACCOUNT, region: 'eu-central-1' } });
  const stock: OtherCredential = {
    secret: Secret.fromSecretCompleteArn(stack, 'Stock', STOCK),
    database: { engine: 'aurora-mysql', host: 'stock.internal', port: 3306, certificateAuthority: 'rds' },
    strategy: { kind: 'dual-password' },
  };
  define(
    stack,
    { ...DATABASE, strategy: { ...DATABASE.strategy, users: ['orders_a', 'orders_b'] } },
    { name: 'orders', ...change(stock, stack) },
  );
  return stack;
}

describe('several credentials', () => {
  it('have each a function that may touch its own secret only, and alarms with its name', () => {
    const stack = stackWith((stock) => ({ others: { stock } }));
    const resources = resourcesOf(stack);
    assert.deepEqual(brokenLinks(resources), []);
    const alarms = ofType(resources, 'AWS::CloudWatch::Alarm').map(
      ([, { Properties: alarm }]) => alarm.AlarmName,
    );
    for (const name of ['orders', 'stock'])
      for (const alarm of [
        `rotate-secret-${name}-failed`,
        `credential-rotation-age-${name}`,
        `credential-rotation-unretired-${name}`,
      ])
        assert.ok(alarms.includes(`shop-${alarm}`), alarm);
    const of = (id: RegExp) =>
      JSON.stringify(
        ofType(resources, 'AWS::IAM::Role').flatMap(([role]) =>
          id.test(role) ? roleStatements(resources, role) : [],
        ),
      );
    assert.doesNotMatch(of(/^RotationRotateSecret/), /stock-a1B2c3/);
    assert.match(of(/^RotationOtherstock/), /stock-a1B2c3/);
    const settings = settingsOf(resources, 'shop-credential-rotation');
    assert.deepEqual(
      [settings.name, settings.further.map(({ name }: { name: string }) => name)],
      ['orders', ['stock']],
    );
  });

  const MISTAKES: [mistake: RegExp, props: (stock: OtherCredential, scope: Stack) => object][] = [
    [
      /^Shop\/Rotation: name is of one of several credentials; it must be left out without others/,
      () => ({}),
    ],
    [/others\.Stock has a name that cannot be one of a function/, (stock) => ({ others: { Stock: stock } })],
    [/others\.orders has the name of the first credential/, (stock) => ({ others: { orders: stock } })],
    [
      /others\.other\.secret is rotated here already/,
      (stock) => ({ others: { stock, other: { ...stock, database: { ...stock.database } } } }),
    ],
    [
      /others\.stock\.strategy\.kind is "dual-password", which cannot be: PostgreSQL/,
      (stock) => ({ others: { stock: { ...stock, database: DATABASE.address } } }),
    ],
    [
      /others\.stock\.secret is told by its name or a part of its ARN/,
      (stock, scope) => ({
        others: { stock: { ...stock, secret: Secret.fromSecretNameV2(scope, 'Named', 'shop/stock') } },
      }),
    ],
    [
      /services\[0\]\.reads names "tills", which is no credential here; it must be of orders, stock/,
      (stock) => ({ others: { stock }, services: [{ name: 'web', reads: ['tills'] }] }),
    ],
    [
      /services\[0\]\.reads names "orders", which is no credential here; .* none, for there is only one/,
      () => ({ name: undefined, services: [{ name: 'web', reads: ['orders'] }] }),
    ],
    [
      /services\[0\]\.reads is "stock"; it must be a list of names of credentials/,
      (stock) => ({ others: { stock }, services: [{ name: 'web', reads: 'stock' }] }),
    ],
    [
      /services\[0\]\.reads\[1\] is 7; it must be the name of a credential/,
      (stock) => ({ others: { stock }, services: [{ name: 'web', reads: ['stock', 7] }] }),
    ],
    [
      /services\[0\]\.reads is an empty list: the service reads no credential/,
      (stock) => ({ others: { stock }, services: [{ name: 'web', reads: [] }] }),
    ],
    [
      /services read nothing of stock; each credential must be read by one of them at least/,
      (stock) => ({ others: { stock }, services: [{ name: 'web', reads: ['orders'] }] }),
    ],
    [
      /others\.stock\.whenUnprooven is not a known field; did you mean "whenUnproven"\?/,
      (stock) => ({ others: { stock: { ...stock, whenUnprooven: 'keep' } } }),
    ],
    [
      /others\.stock\.password\.lenght is not a known field; did you mean "length"\?/,
      (stock) => ({ others: { stock: { ...stock, password: { lenght: 40 } } } }),
    ],
    [
      /others\.stock\.copies\[0\]\.templte is not a known field; did you mean "template"\?/,
      (stock) => ({
        others: {
          stock: { ...stock, copies: [{ kind: 'parameter', name: '/stock', templte: '{password}' }] },
        },
      }),
    ],
    [
      /others\.stock\.replicas\[0\]\.ports is not a known field; did you mean "port"\?/,
      (stock) => ({
        others: {
          stock: {
            ...stock,
            strategy: DATABASE.strategy,
            replicas: [{ host: 'reader.internal', ports: 3307 }],
          },
        },
      }),
    ],
    [/others\.stock\.secret is missing/, ({ secret: _, ...stock }) => ({ others: { stock } })],
    [
      /others\.stock\.strategy\.kind is "dual"/,
      (stock) => ({ others: { stock: { ...stock, strategy: { kind: 'dual' } } } }),
    ],
    [
      /others\.stock\.schedule is of all credentials together; it must be given beside others/,
      (stock) => ({ others: { stock: { ...stock, schedule: { at: '02:30' } } } }),
    ],
    [/name is of one of several credentials; it must be left out without others/, () => ({ others: {} })],
    [/others\.0 has a name that cannot be one of a function/, (stock) => ({ others: [stock] })],
  ];
  for (const [mistake, props] of MISTAKES)
    it(`are refused at synthesis: ${mistake.source}`, () => {
      assert.throws(
        () => stackWith(props),
        (error) => error instanceof PropsError && mistake.test(error.message),
      );
    });
});
