import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Duration, SecretValue, Stack, Validations } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { EventBus } from 'aws-cdk-lib/aws-events';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { AwsSolutionsChecks } from 'cdk-nag';
import { CallbackRelay, type CallbackRelayProps } from '../../lib/callback-relay.ts';
import { letServicesEncrypt } from '../../lib/encryption.ts';
import { brokenLinks } from './links.ts';
import { appWithoutBundles, ofType, resourcesOf } from './template.ts';

const HASH = 'a'.repeat(64);

function relayStack(change: (stack: Stack) => Partial<CallbackRelayProps> = () => ({})) {
  const app = appWithoutBundles();
  app.node.setContext('@aws-cdk/core:validateAgainstDefaultRules', true);
  const stack = new Stack(app, 'Relay', { env: { account: '111111111111', region: 'eu-west-1' } });
  const relay = new CallbackRelay(stack, 'Relay', {
    deployment: 'latam',
    bus: EventBus.fromEventBusName(stack, 'Bus', 'latam-callbacks'),
    topic: Topic.fromTopicArn(stack, 'Topic', 'arn:aws:sns:eu-west-1:111111111111:pager'),
    webhookUrl: 'https://webhook.example.com/whatsapp',
    secretPathHashes: [HASH],
    ...change(stack),
  });
  return { app, stack, relay };
}

describe('the relay for callbacks', () => {
  it('is a function whose URL the client can call, and nobody otherwise', () => {
    const template = Template.fromStack(relayStack().stack);
    template.hasResourceProperties('AWS::Lambda::Url', { AuthType: 'NONE', InvokeMode: Match.absent() });
    template.hasResourceProperties('AWS::Lambda::Permission', {
      Action: 'lambda:InvokeFunctionUrl',
      Principal: '*',
      FunctionUrlAuthType: 'NONE',
    });
    template.hasResourceProperties('AWS::Lambda::Permission', {
      Action: 'lambda:InvokeFunction',
      Principal: '*',
      InvokedViaFunctionUrl: true,
    });
    template.resourceCountIs('AWS::Lambda::Permission', 2);
  });

  it('may put callbacks on that bus and write its log, and no more', () => {
    const { stack } = relayStack();
    const [[, policy] = []] = ofType(resourcesOf(stack), 'AWS::IAM::Policy');
    assert.deepEqual(
      policy?.Properties.PolicyDocument.Statement.map(
        ({ Sid, Action, Condition }: { Sid: string; Action: unknown; Condition?: unknown }) => [
          Sid,
          Action,
          Condition,
        ],
      ),
      [
        ['WriteLog', ['logs:CreateLogStream', 'logs:PutLogEvents'], undefined],
        ['PutCallbacks', 'events:PutEvents', { StringEquals: { 'events:source': 'whatsapp' } }],
      ],
    );
  });

  it('holds the hash of the secret path, and has time for the webhook and the bus', () => {
    const { stack } = relayStack(() => ({ webhookTimeout: Duration.seconds(10), maximumConcurrency: 30 }));
    const [[, made] = []] = ofType(resourcesOf(stack), 'AWS::Lambda::Function');
    assert.match(JSON.stringify(made?.Properties.Environment), new RegExp(HASH));
    assert.equal(made?.Properties.Timeout, 17);
    assert.equal(made?.Properties.ReservedConcurrentExecutions, 30);
  });

  it('keeps a secret in the address of the webhook out of the template', () => {
    const { stack } = relayStack(() => ({
      webhookUrl: `https://webhook.example.com/${SecretValue.secretsManager('hook', { jsonField: 'path' }).unsafeUnwrap()}`,
    }));
    Template.fromStack(stack).hasResourceProperties('AWS::Lambda::Function', {
      Environment: {
        Variables: {
          UPKEEP_SETTINGS: {
            'Fn::Join': [
              '',
              Match.arrayWith([
                Match.stringLikeRegexp('webhook.example.com/{{resolve:secretsmanager:hook:SecretString:path'),
              ]),
            ],
          },
        },
      },
    });
  });

  it('rings for what did not get on the bus, what it refused for its size, and its own failures', () => {
    const { stack } = relayStack();
    assert.deepEqual(
      ofType(resourcesOf(stack), 'AWS::CloudWatch::Alarm').map(([, { Properties }]) => [
        Properties.AlarmName,
        Properties.MetricName,
        Properties.Threshold,
        Properties.TreatMissingData,
      ]),
      [
        ['latam-callback-relay-not-on-bus', 'CallbacksNotOnBus', 1, 'notBreaching'],
        ['latam-callback-relay-webhook-fails', 'CallbacksNotTaken', 1, 'notBreaching'],
        ['latam-callback-relay-webhook-slow', 'WebhookMilliseconds', 10_000, 'notBreaching'],
        ['latam-callback-relay-too-large-for-bus', 'CallbacksTooLargeForBus', 1, 'notBreaching'],
        ['latam-callback-relay-over-limit', 'CallbacksOverLimit', 1, 'notBreaching'],
        ['latam-callback-relay-errors', 'Errors', 1, 'notBreaching'],
        ['latam-callback-relay-throttles', 'Throttles', 1, 'notBreaching'],
      ],
    );
  });

  it('has all its links, with a key too', () => {
    const { stack } = relayStack((scope) => {
      const encryptionKey = new Key(scope, 'Key', { enableKeyRotation: true });
      letServicesEncrypt(encryptionKey, 'latam');
      return { encryptionKey };
    });
    // It is never invoked asynchronously: who calls its URL gets the failure.
    assert.deepEqual(brokenLinks(resourcesOf(stack)), [
      'function latam-callback-relay has no dead-letter queue',
    ]);
  });

  it('passes the rules of CloudFormation and of cdk-nag', () => {
    const { app } = relayStack();
    Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
    app.synth();
  });

  for (const { what, change, says } of [
    {
      what: 'a webhook by plain http',
      change: { webhookUrl: 'http://webhook.example.com/very-secret' },
      says: /^Relay\/Relay: webhookUrl is not what it must be: an https URL(?!.*very-secret)/,
    },
    {
      what: 'a password in the URL',
      change: { webhookUrl: 'https://user:very-secret@webhook.example.com/' },
      says: /without a user or fragment in it\.(?!.*very-secret)/,
    },
    {
      what: 'a field that is misspelled',
      change: { maximumByte: 1000 } as object,
      says: /maximumByte is not a known field; did you mean "maximumBytes"\?/,
    },
    { what: 'what is no URL', change: { webhookUrl: 'webhook' }, says: /an https URL/ },
    {
      what: 'no secret path',
      change: { secretPathHashes: [] },
      says: /secretPathHashes is .* a list of one or two SHA-256/,
    },
    {
      what: 'a path in place of its hash, which it does not repeat',
      change: { secretPathHashes: [HASH, 'my-secret-path'] },
      says: /secretPathHashes\[1\] is not what it must be: the SHA-256 of the path(?!.*my-secret-path).*not the path/,
    },
    {
      what: 'a limit beyond that of Lambda',
      change: { maximumBytes: 6 * 1024 * 1024 },
      says: /maximumBytes is 6291456; it must be a whole number from 1 to 5242880\./,
    },
  ])
    it(`refuses ${what}`, () => {
      assert.throws(() => relayStack(() => change), { message: says });
    });
});
