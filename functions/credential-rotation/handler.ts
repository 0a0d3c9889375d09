import { withDurableExecution } from '@aws/durable-execution-sdk-js';
import * as v from 'valibot';
import { runJob } from '../shared/run/run-job.ts';
import { readSettings } from '../shared/run/settings.ts';
import type { CredentialRotationSettings } from './contract.ts';
import { credentialRotationEntries, examineCredential, rotateCredential } from './rotate-credential.ts';

const settingsSchema = v.object(
  credentialRotationEntries,
) satisfies v.GenericSchema<CredentialRotationSettings>;

/** Rotates a database credential, for an application that is known only by its ECS services. */
export const handler = withDurableExecution((event: unknown, context) =>
  runJob(
    event,
    context,
    (run, context) => rotateCredential(run, context, readSettings(settingsSchema)),
    (context) => examineCredential(readSettings(settingsSchema), context),
  ),
);
