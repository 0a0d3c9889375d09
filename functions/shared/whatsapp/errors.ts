/** WebApp answered with an error of its own. The `code` decides, for the HTTP status that goes with each is undocumented. */
export class WebAppError extends Error {
  override readonly name = 'WebAppError';
  readonly code: number;

  constructor(request: string, code: number, text: string) {
    super(`WebApp answered ${request} with error ${code}: ${text}`);
    this.code = code;
  }
}

/** WebApp could not be reached, or what answered is not WebApp. Passes by itself, or does not: worth another try. */
export class WebAppUnreachableError extends Error {
  override readonly name = 'WebAppUnreachableError';
}

/** WebApp refused the API user. Trying again would refuse it again. */
export class WrongCredentialsError extends Error {
  override readonly name = 'WrongCredentialsError';
}

/** WebApp showed a certificate that the pinned one does not vouch for. Trying again would show it again. */
export class UntrustedCertificateError extends Error {
  override readonly name = 'UntrustedCertificateError';
}

/** Whether an error needs a person: another try in the same run cannot end otherwise. */
export function needsAPerson(error: unknown): boolean {
  return error instanceof WrongCredentialsError || error instanceof UntrustedCertificateError;
}
