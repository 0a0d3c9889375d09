import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';

/**
 * The address of a client as servers write it. Those of MySQL's kind write the name where they resolve names, as in a
 * VPC `ip-10-0-1-5.ec2.internal`: that name's address is asked for in the same VPC.
 * @returns what the server wrote where it has no address.
 */
export async function clientAddress(host: string): Promise<string> {
  const plain = host.replace(/^::ffff:(?=\d+\.)/i, '');
  if (isIP(plain) !== 0) return plain;
  const known = KNOWN.get(plain);
  if (known !== undefined) return known;
  const address = await lookup(plain).then(
    ({ address }) => address,
    () => plain,
  );
  KNOWN.set(plain, address);
  return address;
}

/** Of names; an address keeps its name as long as a function's process lives. */
const KNOWN = new Map<string, string>();
