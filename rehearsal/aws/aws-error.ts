/** An error answer of a service, with AWS's code. The server finds status and wire form in the client's schemas. */
export class AwsError extends Error {
  override readonly name = 'AwsError';
  readonly code: string;
  /** Members of the error's shape besides its message. */
  readonly members: Record<string, unknown>;

  constructor(code: string, message: string, members: Record<string, unknown> = {}) {
    super(message);
    this.code = code;
    this.members = members;
  }
}
