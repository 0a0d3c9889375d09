import * as v from 'valibot';
import { COPY_ENCODINGS } from '../../functions/shared/database/credential/copy-template.ts';
import { type PasswordRules, randomPassword } from '../../functions/shared/database/credential/password.ts';
import { field, hostName, pattern, port, secretArn } from '../checks/fields.ts';
import type { Finding } from '../checks/mistakes.ts';
import { misspelled, propertyNames } from '../checks/props.ts';
import {
  copyPlaceFindings,
  replicaFindings,
  rotatedSecretProblems,
  strategyFindings,
} from '../checks/rotation.ts';
import { partialSecretFindings, secretReference } from '../secret-reference.ts';
import type { CredentialRotationProps } from './credential-rotation-props.ts';
import type { Credential } from './rotated.ts';

/** Of one credential, as it was given. */
export const CREDENTIAL_ENTRIES = {
  secret: secretReference('The secret that is rotated.'),
  administrator: v.optional(secretReference('That of who changes passwords.')),
  database: field(
    v.custom(isDatabaseOrAddress),
    'an object with "engine", "host", "port" and "certificateAuthority", or a database of RDS itself',
    'The database.',
  ),
  strategy: field(
    v.looseObject({
      kind: field(
        v.picklist(['dual-password', 'alternating-users', 'single-password']),
        '"dual-password", "alternating-users" or "single-password"',
        'The strategy.',
      ),
      users: v.optional(
        field(
          v.pipe(v.array(field(v.string(), "a user's name", 'A user.')), v.length(2)),
          'a list of two users, such as ["shop_a", "shop_b"]',
          'Who alternate.',
        ),
      ),
    }),
    'an object with "kind"',
    'The strategy.',
  ),
  replicas: v.optional(
    field(
      v.array(
        v.looseObject({ host: hostName('Its name.'), port: v.optional(port("If it is not the server's.")) }),
      ),
      'a list of { host }',
      'Read replicas.',
    ),
  ),
  whenUnproven: v.optional(
    field(v.picklist(['keep', 'retire']), '"keep" or "retire"', 'What becomes of the old credential.'),
  ),
  copies: v.optional(
    field(
      v.array(
        v.looseObject({
          kind: field(v.picklist(['parameter', 'secret']), '"parameter" or "secret"', 'What it is.'),
          name: v.optional(pattern(/^[\w./-]{1,1011}$/, 'the name of a parameter', 'Of a parameter.')),
          secretArn: v.optional(secretArn('Of a secret.')),
          key: v.optional(field(v.pipe(v.string(), v.nonEmpty()), 'a text', 'Of a secret.')),
          template: v.optional(
            pattern(
              /\{(username|password)\}/,
              'a text with {username} or {password} in it',
              'What is written there.',
            ),
          ),
          encoding: v.optional(
            field(
              v.picklist(COPY_ENCODINGS),
              `one of ${COPY_ENCODINGS.map((name) => `"${name}"`).join(', ')}`,
              'For whom.',
            ),
          ),
        }),
      ),
      'a list of { kind: "parameter", name } and { kind: "secret", secretArn, key }',
      'Where else the credential is kept.',
    ),
  ),
};

/** A proxy has security groups too, and is no database. */
function isDatabaseOrAddress(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return !('connections' in value) || 'clusterEndpoint' in value || 'instanceEndpoint' in value;
}

const PASSWORD_NAMES = propertyNames<PasswordRules>({ length: true, alphabet: true, exclude: true });
/** Of either kind. */
const COPY_NAMES = ['kind', 'name', 'keyId', 'keyArn', 'secretArn', 'key', 'template', 'encoding'];
const REPLICA_NAMES = ['host', 'port'];

/** What is wrong with one credential by itself. */
export function credentialFindings({
  props: { secret, administrator, strategy, password = {}, acceptFailedLogins = false, ...props },
  rotated,
}: Credential): Finding[] {
  return [
    ...partialSecretFindings([
      { field: ['secret'], secret },
      { field: ['administrator'], secret: administrator },
    ]),
    ...rotatedSecretProblems(rotated.secretArn).map((problem) => ({ field: ['secret'], problem })),
    ...strategyFindings({
      engine: rotated.database.engine,
      strategy,
      acceptFailedLogins,
      hasAdministrator: administrator !== undefined,
    }),
    ...replicaFindings(strategy.kind, props.replicas),
    ...copyFindings(rotated.secretArn, props.copies),
    ...misspelled(password, PASSWORD_NAMES, ['password']),
    ...(props.copies ?? []).flatMap((copy, index) => misspelled(copy, COPY_NAMES, ['copies', index])),
    ...(props.replicas ?? []).flatMap((each, index) => misspelled(each, REPLICA_NAMES, ['replicas', index])),
    ...passwordFindings(password),
  ];
}

function copyFindings(rotatedSecretArn: string, copies: CredentialRotationProps['copies'] = []): Finding[] {
  const missing = copies.flatMap((copy, index) => {
    const needed = copy.kind === 'parameter' ? (['name'] as const) : (['secretArn', 'key'] as const);
    return needed.flatMap((name) =>
      name in copy
        ? []
        : [
            {
              field: ['copies', index, name],
              problem: `is missing; a copy of the kind "${copy.kind}" needs it.`,
            },
          ],
    );
  });
  const places = copies.map((copy, index) =>
    copy.kind === 'parameter'
      ? { field: ['copies', index, 'name'], place: copy.name }
      : { field: ['copies', index, 'secretArn'], place: `${copy.secretArn} ${copy.key}` },
  );
  return missing.length > 0 ? missing : copyPlaceFindings(rotatedSecretArn, places);
}

function passwordFindings(password: NonNullable<CredentialRotationProps['password']>): Finding[] {
  try {
    randomPassword(password);
    return [];
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return [{ field: ['password'], problem: `leaves nothing to draw from: ${reason}` }];
  }
}
