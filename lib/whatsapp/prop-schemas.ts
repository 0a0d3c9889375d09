import { Duration } from 'aws-cdk-lib';
import * as v from 'valibot';
import {
  clusterName,
  engine,
  field,
  hostName,
  pattern,
  port,
  secretArn,
  serviceNames,
  wholeNumber,
} from '../checks/fields.ts';
import type { Finding } from '../checks/mistakes.ts';
import { valueText } from '../checks/mistakes.ts';
import { duration } from '../checks/props.ts';
import { type ClientDatabases, setNameOf } from './client-databases.ts';
import {
  databaseNames,
  databasePrefix,
  databaseSetName,
  MAXIMUM_SETS,
  serverIdentifier,
  webAppUrl,
} from './configuration/fields.ts';

const pem = (allowed: string, description: string) =>
  field(v.pipe(v.string(), v.nonEmpty()), allowed, description);

/** The client's WebApp, and a user of it. */
export const WEB_APP = field(
  v.looseObject({
    url: webAppUrl('Where WebApp answers.'),
    certificateAuthority: pem('a certificate as PEM', 'The certificate to trust, and no other.'),
    serverName: v.optional(hostName("The name in WebApp's certificate.")),
    secretArn: secretArn('The API user.'),
  }),
  'an object with "url", "certificateAuthority" and "secretArn"',
  "The client's WebApp.",
);

/** What is given to a job that has the client collect garbage. */
export const GC_PROPS = {
  webApp: WEB_APP,
  maximumCalls: wholeNumber(1, 50, 'How often garbage collection may be asked for in one run.'),
  pause: duration(Duration.seconds(1), Duration.hours(1)),
  callbackTimeout: duration(Duration.minutes(16), Duration.hours(12)),
};

/** Of a client's databases, on one server or several. */
export const SETS = field(
  v.pipe(
    v.array(
      v.looseObject({
        prefix: databasePrefix(),
        name: v.optional(databaseSetName()),
        database: field(
          v.looseObject({
            engine: engine("The server's kind."),
            host: hostName("The server's name."),
            port: port("The server's port."),
            certificateAuthority: pem('"rds" or PEM', 'What signed its certificate.'),
          }),
          'an object with "engine", "host", "port" and "certificateAuthority"',
          'The server.',
        ),
        secretArn: secretArn('The user that looks.'),
        mediaDatabases: v.optional(databaseNames()),
        idleTimeout: v.optional(duration(Duration.seconds(1), Duration.days(1))),
      }),
    ),
    v.minLength(1),
    v.maxLength(MAXIMUM_SETS),
  ),
  `a list of 1 to ${MAXIMUM_SETS} { prefix, database, secretArn }`,
  "The client's databases.",
);

/** What is asked of before an upgrade, besides the databases. */
export const UPGRADE_CHECK_PROPS = {
  maximumGcAge: v.optional(duration(Duration.hours(1), Duration.days(7), 3600)),
  services: v.optional(
    field(
      v.looseObject({
        clusterName: clusterName("The client's cluster."),
        names: serviceNames("The client's services."),
      }),
      'an object with "clusterName" and "names"',
      'What has to be steady.',
    ),
  ),
  storage: v.optional(
    v.array(
      v.looseObject({
        host: pattern(/^[a-zA-Z0-9.-]+$/, "the host of one of the sets' servers", 'The server.'),
        identifier: serverIdentifier(),
      }),
    ),
  ),
};

/** Sets whose metrics would have one name, or none that metrics can have. */
export function setNameFindings(sets: readonly ClientDatabases[]): Finding[] {
  const names = sets.map(setNameOf);
  return names.flatMap((name, index) => {
    const field = ['sets', index, sets[index]?.name === undefined ? 'prefix' : 'name'];
    if (!/^[\w-]+$/.test(name))
      return [
        {
          field,
          problem: `is ${valueText(name)}, which cannot name metrics; it must come with a "name" of letters, digits, hyphens and underscores.`,
        },
      ];
    const first = names.indexOf(name);
    if (first === index) return [];
    return [
      {
        field,
        problem: `names the set ${valueText(name)}, as does sets[${first}]; it must come with a "name" of its own.`,
      },
    ];
  });
}
