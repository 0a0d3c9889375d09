import * as v from 'valibot';
import { secretField } from './fields.ts';

/** Where a relay passes requests on to: its address may hold a secret, which no message repeats. */
export function webhookUrl(description: string) {
  return secretField(
    v.pipe(v.string(), v.check(isWebhookUrl)),
    'an https URL without a user or fragment in it',
    description,
  );
}

export function secretPathHashes(description: string) {
  return secretField(
    v.pipe(
      v.array(
        secretField(
          v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
          'the SHA-256 of the path in hexadecimal (64 digits, lower case), not the path',
          'A hash.',
        ),
      ),
      v.minLength(1),
      v.maxLength(2),
    ),
    'a list of one or two SHA-256 in hexadecimal',
    description,
  );
}

function isWebhookUrl(text: string): boolean {
  const url = URL.parse(text);
  return url?.protocol === 'https:' && url.username === '' && url.password === '' && url.hash === '';
}
