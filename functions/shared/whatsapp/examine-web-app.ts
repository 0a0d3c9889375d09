import type { DurableContext } from '@aws/durable-execution-sdk-js';
import { ResourceNotFoundException, SecretsManagerServiceException } from '@aws-sdk/client-secrets-manager';
import type { ExaminationFinding } from '../run/examination.ts';
import { SecretArnIncomplete } from '../run/secret-value.ts';
import { tryToDelete } from './callback-queue.ts';
import { type CertificateLife, lifeOf } from './certificate.ts';
import {
  UntrustedCertificateError,
  WebAppError,
  WebAppUnreachableError,
  WrongCredentialsError,
} from './errors.ts';
import { CERTIFICATE_WARNING_DAYS, type GcSettings, type WebAppSettings } from './settings.ts';
import { type WebApp, withWebApp } from './web-app.ts';

/** Whether garbage collection could be asked for, and its callbacks be read: logs in, looks at the nodes' health, and logs out. */
export async function examineWebApp(
  settings: GcSettings,
  context: DurableContext,
): Promise<ExaminationFinding[]> {
  const webApp = await context.step('log in to WebApp', () => lookAtWebApp(settings.webApp));
  const queue = await context.step('look at the queue', () => lookAtQueue(settings.notificationsQueueUrl));
  return [...webApp, queue];
}

/**
 * Logs in, looks at the nodes' health and the certificate, and logs out.
 * @param more what else is looked at in the same session.
 */
export async function lookAtWebApp(
  settings: WebAppSettings,
  more?: (webApp: WebApp) => Promise<ExaminationFinding>,
): Promise<ExaminationFinding[]> {
  const of = settings.url;
  try {
    return await withWebApp(settings, async (webApp) => {
      const statuses = await webApp.statuses();
      const life = lifeOf(settings.certificateAuthority, webApp.certificate(), Date.now());
      return [
        { of, status: 'ok', saw: 'The API user logs in.' },
        ...nodeFindings(of, statuses),
        ...(life ? [certificateFinding(of, life)] : []),
        ...(more ? [await more(webApp)] : []),
      ];
    });
  } catch (error) {
    const saw = error instanceof Error ? error.message : String(error);
    return [{ of, status: 'failed', saw, mend: mendOf(error, settings) }];
  }
}

/** What each node says of itself. One that stands by is not connected, which is as it should be. */
function nodeFindings(of: string, statuses: Record<string, string>): ExaminationFinding[] {
  const nodes = Object.entries(statuses);
  const unfit = nodes.flatMap(([node, status]): ExaminationFinding[] => {
    const mend = UNFIT[status];
    return mend === undefined
      ? []
      : [{ of, status: 'warning', saw: `The node ${node || 'of it'} is ${status}.`, mend }];
  });
  if (unfit.length > 0) return unfit;
  const connected = nodes.filter(([, status]) => status === 'connected').length;
  if (connected > 0)
    return [
      {
        of,
        status: 'ok',
        saw: `${connected} of ${nodes.length} nodes are connected to WhatsApp's servers.`,
      },
    ];
  return [
    {
      of,
      status: 'warning',
      saw: `None of its ${nodes.length} nodes is connected to WhatsApp's servers.`,
      mend: 'See the logs of the CoreApps. Of an expired client that is how it is: garbage collection may work all the same.',
    },
  ];
}

/** By what a node says of itself (Meta's reference, Health), what is to be done. */
const UNFIT: Record<string, string> = {
  uninitialized:
    "Its database is being set up or upgraded: see the CoreApp's log, and upgrade or restart it where that has stopped.",
  unregistered: "Register its number: POST /v1/account of WebApp, as Meta's reference says.",
  unknown: "See this node's log, and WebApp's of this moment: WebApp had no answer of it.",
};

function mendOf(error: unknown, { url, secretArn }: WebAppSettings): string {
  const { hostname, port } = new URL(url);
  const put = `aws secretsmanager put-secret-value --secret-id ${secretArn} --secret-string '{"username": "…", "password": "…"}'`;
  if (error instanceof WrongCredentialsError) return put;
  if (error instanceof UntrustedCertificateError)
    return `openssl s_client -connect ${hostname}:${port || 443} -showcerts </dev/null   # into webApp.certificateAuthority of the configuration, then: npx cdk deploy --all`;
  if (error instanceof WebAppUnreachableError)
    return 'webApp.url, network.subnets and network.securityGroupIds of the configuration, then: npx cdk deploy --all';
  if (error instanceof WebAppError) return "See WebApp's log of this moment.";
  if (error instanceof SecretArnIncomplete || error instanceof ResourceNotFoundException)
    return `aws secretsmanager describe-secret --secret-id ${secretArn}   # its whole ARN into webApp.apiUser.secretArn of the configuration, then: npx cdk deploy --all`;
  if (error instanceof SecretsManagerServiceException)
    return `aws secretsmanager get-resource-policy --secret-id ${secretArn}   # it and the policy of the secret's key must let the function's role read it`;
  return put;
}

function certificateFinding(of: string, { end, daysLeft }: CertificateLife): ExaminationFinding {
  const day = end.slice(0, 10);
  if (daysLeft >= CERTIFICATE_WARNING_DAYS)
    return { of, status: 'ok', saw: `Its certificate is trusted until ${day}.` };
  return {
    of,
    status: 'warning',
    saw: `Its certificate is trusted until ${day} only.`,
    mend: 'Renew it in WebApp, then webApp.certificateAuthority of the configuration and: npx cdk deploy --all',
  };
}

async function lookAtQueue(queueUrl: string): Promise<ExaminationFinding> {
  const of = queueUrl.slice(queueUrl.lastIndexOf('/') + 1);
  try {
    await tryToDelete(queueUrl);
    return { of, status: 'ok', saw: 'Callbacks may be taken out of it.' };
  } catch (error) {
    const saw = error instanceof Error ? error.message : String(error);
    return { of, status: 'failed', saw, mend: 'npx cdk deploy --all' };
  }
}
