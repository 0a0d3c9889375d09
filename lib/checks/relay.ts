import { createHash } from 'node:crypto';
import { isIPv4 } from 'node:net';
import * as v from 'valibot';
import { isHostName, secretField } from './fields.ts';

/** Where a relay passes requests on to: its address may hold a secret, which no message repeats. */
export function webhookUrl(description: string) {
  return secretField(
    v.pipe(v.string(), v.check(isWebhookUrl)),
    'an https URL without a user or fragment in it',
    description,
  );
}

/** Of no text and of an empty line, as where what should have made the path failed: everybody would know the path. */
const HASHES_OF_NOTHING = ['', '\n', '\r\n'].map((text) => createHash('sha256').update(text).digest('hex'));

export function secretPathHashes(description: string) {
  return secretField(
    v.pipe(
      v.array(
        secretField(
          v.pipe(
            v.string(),
            v.regex(/^[0-9a-f]{64}$/),
            v.check((hash) => !HASHES_OF_NOTHING.includes(hash)),
          ),
          'the SHA-256 of the path in hexadecimal (64 digits, lower case), not the path, nor that of nothing',
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

/** As it stands there it is called, with a query behind it: nothing in it may be read otherwise, or cut off. */
function isWebhookUrl(text: string): boolean {
  if (!/^https:\/\/[^\s\\#]+$/i.test(text)) return false;
  const url = URL.parse(text);
  if (url?.username !== '' || url.password !== '' || url.port === '0') return false;
  const { hostname } = url;
  // An address of four numbers, unless it was made of something else, such as `1.2`.
  return hostname.startsWith('[') || isHostName(hostname) || (isIPv4(hostname) && text.includes(hostname));
}
