import * as v from 'valibot';
import { PASSWORD_FORMS } from '../../../functions/shared/database/contract/rotation.ts';
import { COPY_ENCODINGS } from '../../../functions/shared/database/credential/copy-template.ts';
import {
  clusterName,
  field,
  hostName,
  keyArn,
  pattern,
  port,
  serviceName,
  serviceNames,
  wholeNumber,
} from '../../checks/fields.ts';
import { ROLLED_ROLES } from '../rolled-roles.ts';
import { nightlyTimeLimit, scheduleSchema, secretSchema } from './fields.ts';

const databaseUser = (description: string) =>
  pattern(/^[\w.-]{1,63}$/, "a database user's name", description);

const strategySchema = field(
  v.strictObject({
    kind: field(
      v.picklist(['dual-password', 'alternating-users', 'single-password']),
      '"dual-password", "alternating-users" or "single-password"',
      '`dual-password`, on MySQL and MariaDB: one user, whose old and new password are both valid for a while. `alternating-users`, on every engine: two users by turns, where the containers take the user name from the secret too. `single-password`, on PostgreSQL: one user with one password, so that logins fail for a while.',
    ),
    users: v.optional(
      field(
        v.pipe(v.array(databaseUser('A user.')), v.length(2)),
        "a list of two database users' names",
        'The two users of `alternating-users`. Needed on PostgreSQL. Left out on MySQL and MariaDB: that in the secret, and the same with `_clone` after it.',
      ),
    ),
    owner: v.optional(
      databaseUser(
        'On PostgreSQL the role that both users act as: it owns what they make. Left out: the first of `users`.',
      ),
    ),
    user: v.optional(databaseUser('The one user of `single-password`.')),
    storeAs: v.optional(
      field(
        v.picklist(PASSWORD_FORMS),
        PASSWORD_FORMS.map((name) => `"${name}"`).join(' or '),
        'On PostgreSQL the form in which the server is to keep new passwords: `scram-sha-256` once every client knows it. Left out: the form that the current one has, so that clients that know only md5 go on.',
      ),
    ),
  }),
  'an object with "kind"',
  'How the password is replaced while containers that read it at their start go on: see docs/credential-rotation.md.',
);

/** Characters that the client does not take in a password of the database, by Meta's own checker WADebug. */
const CLIENT_PASSWORD = /^(?!.*[?{}&~!()^=])[!-~]{2,94}$/;

const passwordSchema = field(
  v.strictObject({
    length: v.optional(
      wholeNumber(
        8,
        128,
        "Characters. Amazon RDS takes at most 41 of a master user of MySQL or MariaDB, and so does Meta's template.",
      ),
      32,
    ),
    alphabet: v.optional(
      pattern(
        CLIENT_PASSWORD,
        'a text of at least two printable ASCII characters, without ?{}&~!()^= which the client does not take',
        'The characters to draw from. Left out: letters, digits, hyphen, underscore and full stop.',
      ),
    ),
    exclude: v.optional(
      pattern(/^[!-~]+$/, 'a text of printable ASCII characters', 'Characters of the alphabet to leave out.'),
    ),
  }),
  'an object with "length", "alphabet", "exclude", or some of them',
  'What a new password is made of.',
);

const servicesSchema = field(
  v.pipe(
    v.strictObject({
      webapp: v.optional(serviceNames('The services whose tasks are WebApps.')),
      master: v.optional(serviceNames('The services whose tasks are Masters.')),
      coreapp: v.optional(
        serviceNames(
          'The services whose tasks are CoreApps, or the whole client in one. Never are two of their tasks replaced at once, for each owns a shard.',
        ),
      ),
      others: v.optional(
        field(
          v.pipe(
            v.array(
              v.strictObject({
                name: serviceName('The service.'),
                clusterName: v.optional(clusterName("Its cluster, if it is not the client's.")),
              }),
            ),
            v.minLength(1),
            v.maxLength(50),
          ),
          'a list of 1 to 50 { name }',
          'Other services that read the credential at their start, such as an exporter of metrics, in the order in which they are replaced.',
        ),
      ),
    }),
    v.check((services) => Object.keys(services).length > 0),
  ),
  'an object with "webapp", "master", "coreapp", "others", or some of them',
  'Every service whose containers read the credential at their start. A container that is not named keeps the old password, and cannot log in once that is retired.',
);

const template = v.optional(
  pattern(
    /\{(username|password)\}/,
    'a text with {username} or {password} in it',
    "What is written there, with `{username}` and `{password}` in place of the credential's. Left out: the password alone.",
  ),
);

const encoding = v.optional(
  field(
    v.picklist(COPY_ENCODINGS),
    `one of ${COPY_ENCODINGS.map((name) => `"${name}"`).join(', ')}`,
    "By whose rules the text is read, so that the credential is escaped for that reader: `url`, a line of `.pgpass`, libpq's `key=value` (`dsn`), a shell (`env`), or nobody's (`raw`). Needed where a template has more than one of both and the alphabet has characters other than letters, digits and `-_.~`.",
  ),
);

const metaTemplateSchema = field(
  v.strictObject({
    stackName: pattern(
      /^[a-zA-Z][a-zA-Z0-9-]{0,127}$/,
      'the name of a CloudFormation stack',
      "The template's main stack. Its containers read the parameter `STACK-WA_DB_PASSWORD`, to which the password is written.",
    ),
    encryptionKeyArn: keyArn('The key of that parameter: the resource `KMSKey` of the stack.'),
    monitoring: v.optional(
      field(
        secretSchema(
          "The monitoring stack's secret, `NESTEDSTACK-Secret`: the connection string is written to its key `data_src_name`.",
        ),
        'an object with "secretArn"',
        'If the metrics exporter logs in as the same user. Its service is then one of `services.others`.',
      ),
    ),
  }),
  'an object with "stackName" and "encryptionKeyArn"',
  "For a client made with Meta's AWS template: where it keeps copies of the password.",
);

const copiesSchema = field(
  v.strictObject({
    parameters: v.optional(
      field(
        v.array(
          v.strictObject({
            name: pattern(
              /^[\w./-]{1,1011}$/,
              'the name of a parameter',
              'Of Parameter Store; it must exist.',
            ),
            encryptionKeyArn: v.optional(
              keyArn("The key of a SecureString, if it is not the account's own for Parameter Store."),
            ),
            template,
            encoding,
          }),
        ),
        'a list of { name }',
        'Parameters.',
      ),
      [],
    ),
    secrets: v.optional(
      field(
        v.array(
          v.strictObject({
            ...secretSchema(
              'Another secret, with a JSON object; or the rotated one itself, where a field of it holds the credential too.',
            ).entries,
            key: field(v.pipe(v.string(), v.nonEmpty()), 'a text', 'The key of that object.'),
            template,
            encoding,
          }),
        ),
        'a list of { secretArn, key }',
        'Keys of secrets.',
      ),
      [],
    ),
  }),
  'an object with "parameters" or "secrets"',
  'Other places that keep a copy of the credential. Containers whose task definition refers to the secret itself need none.',
);

export const credentialRotationSchema = field(
  v.strictObject({
    schedule: scheduleSchema,
    timeLimitMinutes: nightlyTimeLimit,
    secret: field(
      secretSchema(
        'JSON as AWS documents it for databases, with `username` and `password` at least: the credential that the client logs in with.',
      ),
      'an object with "secretArn"',
      'The secret that is rotated.',
    ),
    administrator: v.optional(
      field(
        secretSchema('JSON with `username` and `password`.'),
        'an object with "secretArn"',
        'The secret of a database user that changes the passwords. Only with `dual-password` on MySQL is none needed: there the user changes its own.',
      ),
    ),
    host: v.optional(
      hostName(
        'The `host` of that one of `databases` whose server is meant. Needed only where they have several.',
      ),
    ),
    strategy: strategySchema,
    acceptFailedLogins: v.optional(
      field(
        v.boolean(),
        'true or false',
        'Takes it that with `single-password` logins fail from the rotation until a container is replaced.',
      ),
      false,
    ),
    password: v.optional(passwordSchema, {}),
    clusterName: clusterName("The client's cluster."),
    services: servicesSchema,
    order: v.optional(
      field(
        v.array(field(v.picklist(ROLLED_ROLES), `one of ${ROLLED_ROLES.join(', ')}`, 'A role.')),
        `a list of ${ROLLED_ROLES.join(', ')}`,
        'In which order their services are replaced, one after the other.',
      ),
      [...ROLLED_ROLES],
    ),
    metaTemplate: v.optional(metaTemplateSchema),
    copies: v.optional(copiesSchema, {}),
    rotateAfterDays: v.optional(
      wholeNumber(1, 365, 'At which age the credential is rotated. A younger one is only looked after.'),
      30,
    ),
    maximumAgeDays: v.optional(
      wholeNumber(
        2,
        400,
        'At which age of the credential an alarm rings, more than `rotateAfterDays`. Left out: a week more.',
      ),
    ),
    rotationTimeoutMinutes: v.optional(
      wholeNumber(
        5,
        120,
        "How long the rotation itself may take, with Secrets Manager's own repetitions of a failed step.",
      ),
      15,
    ),
    steadyTimeoutMinutes: v.optional(
      wholeNumber(
        2,
        360,
        'How long a service may take to be steady: before the rotation, and after each change. So long its new tasks may also take until they are seen to log in.',
      ),
      20,
    ),
    replicas: v.optional(
      field(
        v.pipe(
          v.array(
            v.strictObject({
              host: hostName(
                "The replica's name, which stands in its certificate as the server's does in that.",
              ),
              port: v.optional(port("If it is not the server's.")),
            }),
          ),
          v.minLength(1),
          v.maxLength(15),
        ),
        'a list of 1 to 15 { host }',
        'Read replicas on which containers log in too: with `alternating-users` the old user is closed only when none of them has sessions of it.',
      ),
    ),
    retirementPatienceMinutes: v.optional(
      wholeNumber(
        1,
        360,
        'How long sessions of the old user are waited for before its retirement is left to the next run, with an alarm. A pooler keeps idle ones for a time of its own: pgbouncer (`server_idle_timeout`) for 10 minutes by default.',
      ),
      15,
    ),
    whenUnproven: v.optional(
      field(
        v.picklist(['keep', 'retire']),
        '"keep" or "retire"',
        "What becomes of the old credential where nobody can know whether a service's new tasks log in with the new one: `keep` it and be partial, or `retire` it. Left out: `keep` in the first rotation, and wherever logins were refused or tasks not seen that should have been; otherwise `retire`.",
      ),
    ),
  }),
  'an object with "schedule", "secret", "strategy", "clusterName" and "services"',
  'Rotates the password with which the client logs in to its database, and carries it to the last container: see docs/credential-rotation.md. Needs `databases`.',
);

export type CredentialRotationOutput = v.InferOutput<typeof credentialRotationSchema>;
