import assert from 'node:assert/strict';
import { keepCertificate } from '../../../rehearsal/certificates.ts';
import { createCertificate } from '../../../rehearsal/whatsapp/certificate.ts';
import type { WebAppFaults } from '../../../rehearsal/whatsapp/web-app.ts';
import type { World } from '../../../rehearsal/world.ts';
import { all, configure, coreApps, type Misconfiguration, set } from './misconfiguration.ts';

const SECRETS = 'arn:aws:secretsmanager:eu-central-1:222222222222:secret:whatsapp/emea';
const API_USER = `${SECRETS}/api-user-d4E5f6`;
const SIZE_USER = `${SECRETS}/database-size-g7H8i9`;

/** Puts a value that has nothing else of the old one. */
const putSecret =
  (arn: string, value: object) =>
  ({ aws }: World) => {
    const before = aws.secrets.value(arn) ?? '';
    aws.secrets.put(arn, JSON.stringify({ ...databaseFields(before), ...value }));
    return () => aws.secrets.put(arn, before);
  };

/** Where a secret says that its database is. */
function databaseFields(text: string): object {
  const { engine, host, port } = JSON.parse(text);
  return { engine, host, port };
}

const DAY = 24 * 3600 * 1000;

/** Has WebApp show another certificate. */
const showing =
  (make: (hostName: string) => ReturnType<typeof createCertificate>) =>
  async ({ deployments: { emea } }: World) => {
    assert.ok(emea);
    const { hostname } = new URL(emea.webAppUrl);
    emea.webApp.useCertificate(await make(hostname));
    return async () => emea.webApp.useCertificate(await keepCertificate('emea', hostname));
  };

/** Of a certificate that the configured one has signed. */
const signed = (validTo: Date) =>
  showing(async (hostName) =>
    createCertificate(hostName, { validTo, issuer: await keepCertificate('emea', hostName) }),
  );

const nodes =
  (faults: Partial<WebAppFaults>) =>
  ({ deployments: { emea } }: World) => {
    assert.ok(emea);
    return set(emea.webApp.faults, faults);
  };

/** What the jobs' functions find from where they are. */
export const JOB_MISCONFIGURATIONS: Misconfiguration[] = [
  {
    what: 'an API user whom WebApp refuses',
    spoil: putSecret(API_USER, { username: 'upkeep', password: 'hunter2' }),
    check: 'what the jobs need',
    job: 'media-gc',
    status: 'failed',
    saw: /WebApp/,
    mend: /^aws secretsmanager put-secret-value --secret-id \S+api-user-d4E5f6 --secret-string /,
  },
  {
    what: 'another certificate of WebApp than the one that is pinned',
    spoil: showing((hostName) => createCertificate(hostName)),
    check: 'what the jobs need',
    job: 'media-gc',
    status: 'failed',
    saw: /It is not the configured one, nor signed by it\. It has the SHA-256 fingerprint (\w\w:){31}\w\w .* Configured: /,
    mend: /^openssl s_client -connect webapp\.emea\.internal:443 -showcerts .* npx cdk deploy --all$/,
  },
  {
    what: 'a certificate of WebApp that has ended',
    spoil: signed(new Date(Date.now() - DAY)),
    check: 'what the jobs need',
    job: 'media-gc',
    status: 'failed',
    saw: /It is past its end\./,
    mend: /^openssl s_client -connect /,
  },
  {
    what: 'a certificate of WebApp that soon ends',
    spoil: signed(new Date(Date.now() + 12 * DAY)),
    check: 'what the jobs need',
    job: 'media-gc',
    status: 'warning',
    saw: /^Its certificate is trusted until \d{4}-\d\d-\d\d only\.$/,
    mend: /^Renew it in WebApp, /,
  },
  {
    what: 'a node whose number is not registered, among others that are connected',
    spoil: nodes({ firstNodeIs: 'unregistered' }),
    check: 'what the jobs need',
    job: 'media-gc',
    status: 'warning',
    saw: /^The node \S+ is unregistered\.$/,
    mend: /^Register its number: /,
  },
  {
    what: 'a client that is cut off from WhatsApp',
    spoil: nodes({ isCutOff: true }),
    check: 'what the jobs need',
    job: 'media-gc',
    status: 'warning',
    saw: /^None of its \d+ nodes is connected to WhatsApp's servers\.$/,
    mend: /^See the logs of the CoreApps\./,
  },
  {
    what: 'a queue of callbacks that there is no more',
    spoil: (world) => {
      const change = (settings: { notificationsQueueUrl: string }) => {
        settings.notificationsQueueUrl += '-of-old';
      };
      const back = configure(world, 'emea-media-gc', change as (settings: never) => void);
      // What runs has read its settings.
      const anew = () => world.aws.killFunction('emea-media-gc');
      anew();
      return all(anew, back);
    },
    check: 'what the jobs need',
    job: 'media-gc',
    status: 'failed',
    saw: /(does not exist|not authorized to perform: sqs:DeleteMessage)/,
    mend: /^npx cdk deploy --all$/,
  },
  {
    what: 'a secret without the fields of a login',
    spoil: putSecret(API_USER, { user: 'upkeep', pass: 'hunter2' }),
    check: 'what the jobs need',
    job: 'media-gc',
    status: 'failed',
    saw: /"username"/,
    mend: /put-secret-value/,
  },
  {
    what: 'a database user whom the database refuses',
    spoil: putSecret(SIZE_USER, { username: 'emea_database_size', password: 'hunter2' }),
    check: 'what the jobs need',
    job: 'database-size',
    status: 'failed',
    saw: /refuse/,
    mend: /^aws secretsmanager describe-secret --secret-id \S+database-size-g7H8i9 /,
  },
  {
    what: 'a database user without a right',
    spoil: async ({ deployments: { emea } }) => {
      const pool = emea?.store?.pool;
      assert.ok(pool);
      const { rows } = await pool.query('SELECT quote_ident(current_database()) AS name');
      const on = `CONNECT ON DATABASE ${rows[0].name}`;
      await pool.query(`REVOKE ${on} FROM PUBLIC, emea_database_size`);
      return () => pool.query(`GRANT ${on} TO PUBLIC, emea_database_size`);
    },
    check: 'what the jobs need',
    job: 'database-size',
    status: 'failed',
    saw: /An administrator grants it: /,
    mend: /^GRANT CONNECT ON DATABASE "?\w+"? TO "emea_database_size"/,
  },
  {
    what: 'a task definition that pins a version of the secret',
    spoil: (world) => {
      const { options } = coreApps(world);
      return set(options, {
        secrets: (options.secrets ?? []).map((each) => ({
          ...each,
          valueFrom: each.valueFrom.replace(/::$/, ':AWSPREVIOUS:'),
        })),
      });
    },
    check: 'what the jobs need',
    job: 'credential-rotation',
    status: 'failed',
    saw: /^Its task definition pins a version of the secret /,
    mend: /^Take the version stage and the version id from "valueFrom", and deploy the task definition\.$/,
  },
  {
    what: 'a service that CodeDeploy deploys',
    spoil: (world) => set(coreApps(world).options, { controller: 'CODE_DEPLOY' }),
    check: 'what the jobs need',
    job: 'credential-rotation',
    status: 'failed',
    saw: /^It is deployed by CODE_DEPLOY/,
    mend: /^Use ECS's own deployment controller/,
  },
];
