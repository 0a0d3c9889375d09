import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import type { CallbackRelaySettings } from '../functions/callback-relay/contract.ts';
import { type FunctionUrl, serveFunctionUrl } from './aws/lambda/function-url.ts';
import type { Aws } from './aws/server.ts';
import type { Resource } from './aws/template/resource.ts';
import { keepCertificate } from './certificates.ts';
import { settingsOf } from './deployed-functions.ts';
import configuration, { RELAY_PATH } from './upkeep.config.ts';
import { startWebhook, type Webhook } from './whatsapp/webhook.ts';

/** A webhook that knows nothing of the bus, and the relay's URL before it. */
export async function startRelayed(
  aws: Aws,
  name: string,
  relayFunction: Resource,
  secrets: string[],
): Promise<{ webhook: Webhook; relay: FunctionUrl }> {
  const { webhookUrl } = settingsOf<CallbackRelaySettings>(relayFunction);
  const { hostname, port } = new URL(webhookUrl);
  const webhook = await startWebhook({
    ...webhookOf(aws, name),
    endpoint: aws.endpoint,
    relayed: await keepCertificate(hostname, hostname),
  });
  aws.hosts[`${hostname}:${port || 443}`] = `127.0.0.1:${webhook.port}`;
  secrets.push(RELAY_PATH);
  // Whoever calls the URL, who signs nothing: the function's policy must let everybody, by the URL only. Then the URL invokes.
  const asks = [
    { action: 'lambda:InvokeFunctionUrl', conditions: { 'lambda:FunctionUrlAuthType': 'NONE' } },
    { action: 'lambda:InvokeFunction', conditions: { 'lambda:InvokedViaFunctionUrl': 'true' } },
  ];
  const lambda = new LambdaClient({
    endpoint: aws.endpoint,
    region: relayFunction.region,
    credentials: aws.credentialsFor({
      arn: `arn:aws:sts::${relayFunction.account}:assumed-role/function-url/${name}`,
      policy: {
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Action: 'lambda:InvokeFunction', Resource: relayFunction.arn }],
      },
    }),
  });
  const relay = await serveFunctionUrl(async (event) => {
    const access = { principal: { kind: 'anonymous' as const }, resource: relayFunction.arn };
    if (asks.some((ask) => aws.access.check({ ...access, ...ask }) !== undefined))
      return { statusCode: 403, body: '{"Message":"Forbidden"}' };
    const { Payload: payload, FunctionError: failed } = await lambda.send(
      new InvokeCommand({ FunctionName: relayFunction.name, Payload: JSON.stringify(event) }),
    );
    const text = Buffer.from(payload ?? []).toString();
    if (failed) throw new Error(text);
    return JSON.parse(text);
  });
  return { webhook, relay };
}

/**
 * The webhook's role. One that the configuration names among the senders has no policy of its own; another has what the
 * README tells its owner to allow.
 */
export function webhookOf(aws: Aws, deployment: string) {
  const bus = aws.deployed
    .ofType('AWS::Events::EventBus')
    .find(({ name }) => name === `${deployment}-callbacks`);
  if (!bus) throw new Error(`The templates have no callbacks bus for ${deployment}.`);
  const configured = configuration.deployments.find(({ name }) => name === deployment);
  const [sender] = configured?.callbacks?.senders ?? [];
  const credentials = aws.credentialsFor({
    arn: sender ?? `arn:aws:sts::${bus.account}:assumed-role/webhook/${deployment}`,
    policy: {
      Version: '2012-10-17',
      Statement: sender ? [] : [{ Effect: 'Allow', Action: 'events:PutEvents', Resource: bus.arn }],
    },
  });
  return { bus: bus.name, deployment, region: bus.region, credentials };
}
