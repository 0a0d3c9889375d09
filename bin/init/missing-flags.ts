/** Something that a flag should have said, and nobody is there to be asked. */
export class MissingFlags extends Error {
  override readonly name = 'MissingFlags';
}
