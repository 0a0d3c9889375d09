/**
 * In place of `iconv-lite`, whose tables of character sets mysql2 brings along. Our sessions speak UTF-8, which mysql2 reads by
 * Node's own means; what a server sends in anything else, in spite of that, is read by the tables that Node has itself.
 */
interface Decoder {
  write(bytes: Uint8Array): string;
  end(): string;
}

/** @throws RangeError for a character set that Node does not know, with its name. */
export function getDecoder(encoding: string): Decoder {
  // MySQL's old utf8, which mysql2 calls so, has only characters for which both are the same.
  const decoder = new TextDecoder(encoding === 'cesu8' ? 'utf-8' : encoding);
  return {
    write: (bytes) => decoder.decode(bytes, { stream: true }),
    end: () => decoder.decode(),
  };
}

/** Never asked for: what we send is UTF-8. */
export function getEncoder(encoding: string): never {
  throw new RangeError(`Nothing is sent to the database in ${encoding}.`);
}
