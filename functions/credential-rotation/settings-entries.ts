import * as v from 'valibot';
import { credentialCopySchema } from '../shared/database/credential/copies.ts';
import { credentialEntries } from '../shared/database/credential/settings.ts';

const replicasSchema = v.array(v.object({ host: v.string(), port: v.exactOptional(v.number()) }));

/** The fields of {@link CredentialRotationSettings}, for the schema of a function's settings. */
export const credentialRotationEntries = {
  deployment: v.string(),
  ...credentialEntries,
  rotateAfterDays: v.number(),
  rotationTimeoutSeconds: v.number(),
  copies: v.array(credentialCopySchema),
  copiesAlarm: v.exactOptional(v.string()),
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
  replicas: v.exactOptional(replicasSchema),
  retirementPatienceSeconds: v.number(),
  whenUnproven: v.exactOptional(v.picklist(['keep', 'retire'])),
  name: v.exactOptional(v.string()),
  further: v.exactOptional(
    v.array(
      v.object({
        name: v.string(),
        ...credentialEntries,
        copies: v.array(credentialCopySchema),
        replicas: v.exactOptional(replicasSchema),
        whenUnproven: v.exactOptional(v.picklist(['keep', 'retire'])),
      }),
    ),
  ),
};
