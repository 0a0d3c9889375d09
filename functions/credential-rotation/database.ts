import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { Login } from '../shared/database/contract/engine.ts';
import { LoginRefused, missingPrivilege, OldPasswordInUse } from '../shared/database/contract/errors.ts';
import type { CredentialRotation, LoginQuestion, SeenLogins } from '../shared/database/contract/rotation.ts';
import { checkBelongs, checkCopies } from '../shared/database/credential/secret.ts';
import { administratorOf, type CredentialSettings } from '../shared/database/credential/settings.ts';
import {
  currentSecret,
  findSecret,
  type StoredSecret,
  secretState,
} from '../shared/database/credential/stored-secret.ts';
import { credentialRotation } from '../shared/database/registry.ts';
import type { CredentialRotationSettings } from './contract.ts';
import { labelFinished } from './first-rotation.ts';

/** How work on the database ended. Its value is kept in the run's history: never a credential. */
export type Tried<Value> =
  | { kind: 'done'; value: Value }
  | { kind: 'failed'; error: string; message: string };

/** Causes that may pass by themselves; sessions of tasks that have just ended are among them. */
const PASSING = ['DatabaseUnreachable', 'DatabaseReadOnly', 'RotationBusy', 'OldPasswordInUse'];
/** So long they are given to pass. Seconds. */
const TRIED_FOR = 60;
/** Between two attempts, at least. */
const PAUSE_SECONDS = 30;
/** In each attempt, for sessions that are short. Seconds. */
const SESSIONS_PATIENCE = 5;
/** An application that connects anew for each request, a few times a second, is seen. Seconds. */
const OLD_SESSIONS_PATIENCE = 2;

/** What is found in the database before anything is changed. */
export interface DatabaseState {
  /** A credential other than the current one is still valid. */
  retained: boolean;
  /** Since the server's start; where it counts them. */
  refusedLogins?: number;
  warnings: string[];
}

/** Logs in with the current credential. */
export function inspectDatabase(
  context: DurableContext,
  settings: CredentialSettings,
  client: SecretsManagerClient,
): Promise<Tried<DatabaseState>> {
  return tryDatabase(context, 'log in', () =>
    attempt(settings, client, (tools) => inspect(settings, client, tools)),
  );
}

/**
 * Asks who has logged in from where, as either of the credential's users. `username`: the current one.
 * @param triesOld whether it is tried, by a login with it, if the server notes logins with the old one of two passwords
 */
export function askForLogins(
  settings: CredentialSettings,
  client: SecretsManagerClient,
  { triesOld = false, ...question }: Omit<LoginQuestion, 'usernames' | 'old'> & { triesOld?: boolean },
): Promise<Tried<{ seen: SeenLogins; username: string }>> {
  const { secretArn, strategy } = settings;
  return attempt(settings, client, async ({ rotation, admin, current }) => {
    const { username } = current.secret;
    const usernames = [...new Set([username, rotation.nextUsername(username)])];
    const old =
      triesOld && strategy.kind === 'dual-password'
        ? (await findSecret(client, secretArn, { stage: 'AWSPREVIOUS' }))?.secret
        : undefined;
    return {
      seen: await rotation.logins(admin, { ...question, usernames, ...(old && { old }) }),
      username,
    };
  });
}

export function countRefusedLogins(
  context: DurableContext,
  settings: CredentialSettings,
  client: SecretsManagerClient,
): Promise<Tried<number | null>> {
  return tryDatabase(context, 'count refused logins', () => attempt(settings, client, refusedLogins));
}

/**
 * Sessions of the current user, looked for several times over more than a minute while there is none; `null` where the
 * administrator may not see them.
 */
export function seeSessions(
  context: DurableContext,
  settings: CredentialSettings,
  client: SecretsManagerClient,
): Promise<Tried<number | null>> {
  return tryDatabase(context, 'look for sessions', () => attempt(settings, client, sessions), {
    mayChange: (tried) => tried.kind === 'done' && tried.value === 0,
  });
}

/**
 * Makes the old credential invalid, unless something stays connected as its user for as long as that is waited for.
 * @param endsRotation whether it is noted that a rotation has ended by that. @default true
 */
export function retireOldCredential(
  context: DurableContext,
  settings: CredentialRotationSettings,
  client: SecretsManagerClient,
  endBy: number,
  { endsRotation = true } = {},
): Promise<Tried<'retired' | 'nothing-to-retire'>> {
  return tryDatabase(
    context,
    'retire the old password',
    () => attempt(settings, client, (tools) => retire(settings, client, tools, endsRotation)),
    { patienceSeconds: settings.retirementPatienceSeconds, endBy },
  );
}

/**
 * Closes the user whom an abandoned rotation has opened and whom no other version of the secret knows, as in the first
 * rotation of alternating users: without that version's password the next rotation would take him for one in use.
 */
export function undoAbandoned(
  context: DurableContext,
  settings: CredentialSettings,
  client: SecretsManagerClient,
  version: string,
): Promise<Tried<'undone' | 'nothing-to-undo'>> {
  return tryDatabase(context, 'undo the abandoned rotation', () =>
    attempt(settings, client, (tools) => undo(settings, client, tools, version)),
  );
}

/**
 * Why the steps of a rotation do not succeed: does the ones that concern the database again, which repeat safely. What the
 * server says is in the log of another function only, and the report is where it is looked for.
 */
export function explainRotation(
  context: DurableContext,
  settings: CredentialSettings,
  client: SecretsManagerClient,
  version: string,
): Promise<Tried<string>> {
  return context.step('find out what stops the rotation', () =>
    attempt(settings, client, async ({ rotation, admin, current }) => {
      const pending = await findSecret(client, settings.secretArn, { versionId: version });
      if (pending === undefined) return 'Its version got no value: createSecret, the first step, fails.';
      if (pending.versionId === current.versionId) return 'It has ended since.';
      await rotation.set({
        admin,
        pending: pending.secret,
        current: async () => current.secret,
        previous: async () =>
          (await findSecret(client, settings.secretArn, { stage: 'AWSPREVIOUS' }))?.secret,
      });
      await rotation.test(pending.secret, async () => current.secret);
      return 'The database takes the new credential by now: what failed before has passed, or it is finishSecret, the last step.';
    }),
  );
}

interface Tools {
  rotation: CredentialRotation;
  admin: Login;
  current: StoredSecret;
}

async function tryDatabase<Value>(
  context: DurableContext,
  name: string,
  work: () => Promise<Tried<Value>>,
  {
    mayChange = () => false,
    patienceSeconds = TRIED_FOR,
    endBy = Number.POSITIVE_INFINITY,
  }: {
    mayChange?: (tried: Tried<Value>) => boolean;
    patienceSeconds?: number;
    /** Epoch milliseconds. */
    endBy?: number;
  } = {},
): Promise<Tried<Value>> {
  let waited = 0;
  for (let number = 1; ; number++) {
    const { tried, at } = await context.step(`${name} ${number}`, async () => ({
      tried: await work(),
      at: Date.now(),
    }));
    const mayPass = tried.kind === 'failed' && PASSING.includes(tried.error);
    // Half as long again as it has been waited for already.
    const seconds = Math.min(Math.max(PAUSE_SECONDS, Math.round(waited / 2)), patienceSeconds - waited);
    if (!mayPass && !mayChange(tried)) return tried;
    if (seconds <= 0 || at + seconds * 1000 >= endBy) return tried;
    await context.wait(`before ${name} ${number + 1}`, { seconds });
    waited += seconds;
  }
}

async function attempt<Value>(
  settings: CredentialSettings,
  client: SecretsManagerClient,
  work: (tools: Tools) => Promise<Value>,
): Promise<Tried<Value>> {
  try {
    const current = await currentSecret(client, settings.secretArn);
    checkBelongs(current.secret, settings.secretArn, settings.database);
    const admin = (await administratorOf(settings, client, current.secret)) ?? current.secret;
    const rotation = await credentialRotation(settings.database, settings.strategy);
    return { kind: 'done', value: await work({ rotation, admin, current }) };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { kind: 'failed', error: error.name, message: error.message };
  }
}

async function inspect(
  settings: CredentialSettings,
  client: SecretsManagerClient,
  { rotation, admin, current }: Tools,
): Promise<DatabaseState> {
  checkCopies(current.secret, settings.secretArn, settings.fields);
  try {
    await rotation.test(current.secret);
  } catch (error) {
    if (!(error instanceof LoginRefused)) throw error;
    const isKnown =
      (await isOverwritten(settings, client, current)) ||
      (await heal(settings, client, { rotation, current }));
    if (!isKnown) throw error;
  }
  const retained = await rotation.retained(admin, current.secret);
  const refused = await rotation.refusedLogins(admin);
  const warnings = await rotation.preflight(admin, current.secret);
  return { retained, ...(refused !== undefined && { refusedLogins: refused }), warnings };
}

/** With one password alone a rotation that was abandoned may have changed it already: the next one changes it again. */
async function isOverwritten(
  { strategy, secretArn }: CredentialSettings,
  client: SecretsManagerClient,
  current: StoredSecret,
): Promise<boolean> {
  if (strategy.kind !== 'single-password') return false;
  const pending = await findSecret(client, secretArn, { stage: 'AWSPENDING' });
  return pending !== undefined && pending.versionId !== current.versionId;
}

/**
 * Another function's rotation of one user, given up after its second step, has left the pending password as the only one
 * that is valid. Where a user may have two, the current one is made valid again beside it: every container has that.
 */
async function heal(
  settings: CredentialSettings,
  client: SecretsManagerClient,
  { rotation, current }: Pick<Tools, 'rotation' | 'current'>,
): Promise<boolean> {
  if (settings.strategy.kind !== 'dual-password') return false;
  const pending = await findSecret(client, settings.secretArn, { stage: 'AWSPENDING' });
  if (pending === undefined || pending.versionId === current.versionId) return false;
  try {
    await rotation.test(pending.secret);
  } catch (error) {
    if (error instanceof LoginRefused) return false;
    throw error;
  }
  const admin = (await administratorOf(settings, client, current.secret)) ?? pending.secret;
  const known = async () => current.secret;
  await rotation.set({ admin, pending: pending.secret, current: known, previous: async () => undefined });
  await rotation.test(current.secret);
  return true;
}

async function refusedLogins({ rotation, admin }: Tools): Promise<number | null> {
  return (await rotation.refusedLogins(admin)) ?? null;
}

async function sessions({ rotation, admin, current }: Tools): Promise<number | null> {
  return (await rotation.sessions(admin, current.secret.username, SESSIONS_PATIENCE)) ?? null;
}

/** @throws OldPasswordInUse, MissingPrivilege where one has sessions of the old user, or nobody may see */
async function lookAtReplicas(
  { database, strategy, replicas = [] }: CredentialRotationSettings,
  admin: Login,
  username: string,
): Promise<void> {
  for (const { host, port = database.port } of replicas) {
    const replica = await credentialRotation({ ...database, host, port }, strategy);
    const sessions = await replica.sessions(admin, username, OLD_SESSIONS_PATIENCE);
    if (sessions === undefined)
      throw missingPrivilege(
        admin.username,
        `see whether the replica ${host}:${port} has sessions of ${username}`,
        `GRANT PROCESS ON *.* TO ${admin.username}`,
      );
    if (sessions > 0)
      throw new OldPasswordInUse(
        `The replica ${host}:${port} has ${sessions} sessions of ${username}: something uses the old credential there. Nothing was retired. See on that server where they come from, and restart that with the new one.`,
      );
  }
}

async function undo(
  { secretArn }: CredentialSettings,
  client: SecretsManagerClient,
  { rotation, admin, current }: Tools,
  version: string,
): ReturnType<CredentialRotation['undo']> {
  const abandoned = (await findSecret(client, secretArn, { versionId: version }))?.secret;
  if (abandoned === undefined || abandoned.username === current.secret.username) return 'nothing-to-undo';
  const previous = await findSecret(client, secretArn, { stage: 'AWSPREVIOUS' });
  if (previous?.secret.username === abandoned.username) return 'nothing-to-undo';
  return rotation.undo({ admin, current: current.secret, abandoned });
}

async function retire(
  settings: CredentialRotationSettings,
  client: SecretsManagerClient,
  { rotation, admin, current }: Tools,
  endsRotation: boolean,
): ReturnType<CredentialRotation['retire']> {
  const { secretArn } = settings;
  const { username } = current.secret;
  const old = rotation.nextUsername(username);
  if (old !== username) await lookAtReplicas(settings, admin, old);
  const read = () => secretState(client, secretArn);
  const outcome = await rotation.retire({ admin, username, read, patience: OLD_SESSIONS_PATIENCE });
  if (endsRotation) await labelFinished(client, secretArn);
  return outcome;
}
