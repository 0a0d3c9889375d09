import { createHash } from 'node:crypto';
import { keepBundlesIn } from '../lib/function-bundle.ts';
import { defineUpkeep } from '../lib/whatsapp/configuration/configuration.ts';
import sample from '../upkeep.config.ts';
import { certificateFile } from './certificates.ts';

/** Whose webhook cannot put callbacks on the bus itself, so that a relay stands before it. */
export const RELAYED = 'emea';
/** Whose database has a read replica. */
const REPLICATED = 'emea';
/** By the name in the server's certificate. Unless a fault starts one, the primary itself answers there. */
export const REPLICA = { host: 'database.emea.internal', port: 5433 };
/** Where the relay finds that webhook. */
export const RELAYED_WEBHOOK = 'webhook.emea.internal';
/** The secret path of the relay. */
export const RELAY_PATH = 'f6a1c0d2e4b897350f6a1c0d2e4b897350f6a1c0d2e4b897350f6a1c0d2e4b89';

// Of a run of all tests, of which others bundle the same functions.
if (process.env.BUNDLES) keepBundlesIn(process.env.BUNDLES);

/**
 * The sample's deployments as they are, but for the certificates, which are those that the stand-ins can show, for one
 * that has a relay and a read replica, and for the pace of marking messages read: a function keeps to it in real time.
 */
export default defineUpkeep({
  ...sample,
  deployments: sample.deployments.map((deployment) => ({
    ...deployment,
    webApp: { ...deployment.webApp, certificateAuthority: certificateFile(deployment.name) },
    ...(deployment.databases && {
      databases: deployment.databases.map((databases) => ({
        ...databases,
        certificateAuthority: certificateFile(databases.host),
      })),
    }),
    ...(deployment.jobs.messageGc?.markRead && {
      jobs: {
        ...deployment.jobs,
        messageGc: {
          ...deployment.jobs.messageGc,
          markRead: { ...deployment.jobs.messageGc.markRead, requestsPerSecond: 100 },
        },
        // By Run Command, as the sample keeps those of another one by ECS Exec.
        ...(deployment.jobs.logCleanup && { logCleanup: { ...deployment.jobs.logCleanup, archive: {} } }),
      },
    }),
    ...(deployment.name === REPLICATED && {
      jobs: {
        ...deployment.jobs,
        ...(deployment.jobs.credentialRotation && {
          credentialRotation: { ...deployment.jobs.credentialRotation, replicas: [REPLICA] },
        }),
      },
    }),
    ...(deployment.name === RELAYED && {
      callbacks: {
        relay: {
          webhookUrl: `https://${RELAYED_WEBHOOK}/whatsapp`,
          certificateAuthority: certificateFile(RELAYED_WEBHOOK),
          secretPathHashes: [createHash('sha256').update(RELAY_PATH).digest('hex')],
          inVpc: true,
        },
      },
    }),
  })),
});
