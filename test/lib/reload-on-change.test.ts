import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Duration, Stack, Validations } from 'aws-cdk-lib';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { AwsSolutionsChecks } from 'cdk-nag';
import { PropsError, ReloadOnChange, type ReloadOnChangeProps, Upkeep } from '../../lib/index.ts';
import { appWithoutBundles, ofType, resourcesOf, settingsOf } from './template.ts';

const ENV = { account: '111111111111', region: 'eu-west-1' };
const ARN = 'arn:aws:secretsmanager:eu-west-1:111111111111:secret:shop/key-a1B2c3';

function stackWith(changed: (stack: Stack) => object = () => ({})): Stack {
  const stack = new Stack(appWithoutBundles(), 'Shop', { env: ENV });
  const upkeep = new Upkeep(stack, 'Upkeep', {
    deployment: 'shop',
    timeZone: 'Europe/Paris',
    window: { from: '01:00', to: '05:00' },
  });
  new ReloadOnChange(stack, 'Reload', {
    upkeep,
    watched: {
      key: { secret: Secret.fromSecretCompleteArn(stack, 'Key', ARN) },
      certificate: { parameter: '/shop/certificate' },
    },
    cluster: 'shop',
    services: [{ name: 'web' }],
    schedule: { at: '01:30' },
    timeLimit: Duration.hours(2),
    ...(changed(stack) as Partial<ReloadOnChangeProps>),
  });
  return stack;
}

const MISTAKES: [mistake: string, props: (stack: Stack) => object, sentence: RegExp][] = [
  ['nothing is watched', () => ({ watched: {} }), /watched .*an object of 1 to 20 names/],
  [
    'a secret by its text',
    () => ({ watched: { key: { secret: 'shop/key' } } }),
    /watched\.key.* an object with "secret"/,
  ],
  [
    'a secret by its name',
    (stack) => ({ watched: { key: { secret: Secret.fromSecretNameV2(stack, 'Named', 'shop/key') } } }),
    /^Shop\/Reload: watched\.key\.secret is told by its name or a part of its ARN/,
  ],
  [
    'a name that no alarm can have',
    () => ({ watched: { Key: { parameter: '/shop/key' } } }),
    /watched\.Key has a name that cannot be one of an alarm/,
  ],
  [
    'the same twice',
    () => ({ watched: { one: { parameter: '/shop/key' }, other: { parameter: '/shop/key' } } }),
    /watched\.other is the same as watched\.one/,
  ],
  ['no cluster', () => ({ cluster: undefined }), /cluster is missing/],
  ['no service', () => ({ services: [] }), /services .*a list of 1 to 50 ECS services/],
  [
    'a service twice',
    () => ({ services: [{ name: 'web' }, { name: 'web' }] }),
    /services\[1\]\.name is "web", as is services\[0\]\.name/,
  ],
  [
    'a service that reads what is not watched',
    () => ({ services: [{ name: 'web', reads: ['token'] }] }),
    /services\[0\]\.reads names "token", which is not watched; it must be of key, certificate/,
  ],
  [
    'a steadiness that no run lives to see',
    () => ({ steadyTimeout: Duration.hours(3) }),
    /steadyTimeout is 3 hours; it must be less than the 2 hours of timeLimit/,
  ],
  [
    'new tasks that would have to stay up for longer than a service may take',
    () => ({ settleTime: Duration.minutes(30) }),
    /settleTime is 30 minutes; it must be less than the 20 minutes of steadyTimeout/,
  ],
  ['a job of another kind of name', () => ({ job: 'Reload' }), /job is "Reload"/],
];

describe('what cannot be reloaded is refused at synthesis, by the name of the field:', () => {
  for (const [mistake, props, sentence] of MISTAKES)
    it(mistake, () => {
      assert.throws(
        () => stackWith(props),
        (error) => error instanceof PropsError && sentence.test(error.message.replaceAll('\n', ' ')),
      );
    });
});

describe('ReloadOnChange', () => {
  it('may see versions and no value, of what is watched only', () => {
    const text = JSON.stringify(resourcesOf(stackWith()));
    assert.doesNotMatch(text, /GetSecretValue|kms:Decrypt/);
    assert.match(text, /secretsmanager:ListSecretVersionIds/);
  });

  it('goes by events only where that is wanted, and then outside the window too', () => {
    const without = resourcesOf(stackWith());
    assert.equal(ofType(without, 'AWS::Events::Rule').filter(([id]) => id.includes('ReloadOn')).length, 0);
    const stack = stackWith(() => ({ atOnce: true }));
    const rules = ofType(resourcesOf(stack), 'AWS::Events::Rule').filter(([id]) => id.includes('ReloadOn'));
    assert.deepEqual(
      rules.map(([, { Properties: rule }]) => rule.EventPattern['detail-type']),
      [['Secret Label Updated'], ['Parameter Store Change']],
    );
    const { jobs } = settingsOf<{ jobs: Record<string, { longestSeconds: number }> }>(
      resourcesOf(stack),
      'shop-start-run',
    );
    assert.partialDeepStrictEqual(jobs['reload-on-change'], {
      timeLimitSeconds: 7200,
      conflictsWith: ['credential-rotation'],
      outsideWindow: true,
    });
  });

  it('stands twice beside itself, by another name, and shows each that it watches', () => {
    const stack = stackWith();
    const upkeep = stack.node.findChild('Upkeep') as Upkeep;
    const other = new ReloadOnChange(stack, 'Other', {
      upkeep,
      job: 'reload-tls',
      watched: { tls: { parameter: '/shop/tls' } },
      cluster: 'shop',
      services: [{ name: 'proxy' }],
      schedule: { at: '03:00' },
      timeLimit: Duration.hours(1),
    });
    assert.equal(other.dashboardWidgets().length, 2);
    const alarms = ofType(resourcesOf(stack), 'AWS::CloudWatch::Alarm').map(
      ([, { Properties: alarm }]) => alarm.AlarmName,
    );
    for (const name of [
      'reload-on-change-stale-key',
      'reload-on-change-stale-certificate',
      'reload-tls-stale-tls',
    ])
      assert.ok(alarms.includes(`shop-${name}`), name);
  });

  it('passes the rules of AWS Solutions', () => {
    const stack = stackWith(() => ({ atOnce: true }));
    const app = stack.node.root;
    Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
    (app as ReturnType<typeof appWithoutBundles>).synth();
  });
});
