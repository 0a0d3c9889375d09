import { withDurableExecution } from '@aws/durable-execution-sdk-js';
import { ECSClient } from '@aws-sdk/client-ecs';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SSMClient } from '@aws-sdk/client-ssm';
import * as v from 'valibot';
import { namingErrors } from '../shared/run/naming-errors.ts';
import { REQUEST_LIMITS } from '../shared/run/request-limits.ts';
import { runJob } from '../shared/run/run-job.ts';
import { parseOrThrow, readSettings } from '../shared/run/settings.ts';
import type { ReloadOnChangeSettings } from './contract.ts';
import { examineReload } from './examine-reload.ts';
import { reloadOnChange } from './reload.ts';

const settingsSchema = v.object({
  deployment: v.string(),
  job: v.string(),
  watched: v.array(
    v.union([
      v.object({ name: v.string(), secretArn: v.string() }),
      v.object({ name: v.string(), parameter: v.string() }),
    ]),
  ),
  seenParameter: v.string(),
  clusterArn: v.string(),
  services: v.array(
    v.object({
      name: v.string(),
      clusterArn: v.exactOptional(v.string()),
      oneAtATime: v.exactOptional(v.boolean()),
      reads: v.exactOptional(v.array(v.string())),
    }),
  ),
  steadyTimeoutSeconds: v.number(),
  settleSeconds: v.number(),
}) satisfies v.GenericSchema<ReloadOnChangeSettings>;

/** A person who starts it can say nothing besides. */
const optionsSchema = v.strictObject({});

const clients = {
  secretsManager: namingErrors(new SecretsManagerClient({ requestHandler: REQUEST_LIMITS })),
  ssm: namingErrors(new SSMClient({ requestHandler: REQUEST_LIMITS })),
  ecs: namingErrors(new ECSClient({ requestHandler: REQUEST_LIMITS })),
  lambda: namingErrors(new LambdaClient({ requestHandler: REQUEST_LIMITS })),
};

/** Replaces the tasks of services whose secrets, or parameters, others have changed. */
export const handler = withDurableExecution((event: unknown, context) =>
  runJob(
    event,
    context,
    async (run, context) => {
      parseOrThrow(optionsSchema, run.options ?? {}, 'The options of this run');
      return reloadOnChange(run, context, readSettings(settingsSchema), clients);
    },
    (context) => examineReload(readSettings(settingsSchema), clients, context),
  ),
);
