import assert from 'node:assert/strict';
import type { Login } from '../../../../functions/shared/database/contract/engine.ts';
import type {
  CredentialRotation,
  SetRequest,
} from '../../../../functions/shared/database/contract/rotation.ts';
import type { DatabaseSecret } from '../../../../functions/shared/database/credential/secret.ts';

/** As read from Secrets Manager. */
export function secretOf({ username, password }: Login): DatabaseSecret {
  return { username, password, text: JSON.stringify({ username, password }) };
}

/** The error of a promise, which must be of a class. */
export async function rejected<Kind extends Error>(
  promise: Promise<unknown>,
  kind: new (...words: never[]) => Kind,
): Promise<Kind> {
  const error = await promise.then(
    (value) => assert.fail(`it did not fail but gave ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof kind, `${kind.name} expected, not ${error}`);
  return error;
}

/** The statement that an error of a missing privilege ends with. */
export function grantIn({ message }: Error): string {
  const [, statement] = /An administrator grants it: (.*)$/.exec(message) ?? [];
  assert.ok(statement !== undefined, message);
  return statement;
}

/** A rotation whose current credential is known beforehand. */
export function knowingCurrent({ set, ...rotation }: CredentialRotation) {
  return {
    ...rotation,
    set: ({ current, ...request }: Omit<SetRequest, 'current'> & { current: DatabaseSecret }) =>
      set({ ...request, current: async () => current }),
  };
}
