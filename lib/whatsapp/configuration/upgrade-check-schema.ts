import * as v from 'valibot';
import { clusterName, field, pattern, serviceNames, wholeNumber } from '../../checks/fields.ts';
import { serverIdentifier } from './fields.ts';

export const upgradeCheckSchema = field(
  v.strictObject({
    maximumGcAgeHours: v.optional(
      wholeNumber(1, 168, 'How long ago message garbage collection may have succeeded last.'),
      24,
    ),
    services: v.optional(
      field(
        v.strictObject({
          clusterName: clusterName("The client's cluster."),
          names: serviceNames("The client's services."),
        }),
        'an object with "clusterName" and "names"',
        "What has to be steady. Left out: the client's services in `jobs.logCleanup`, or else those in `jobs.credentialRotation`; without these the answer is never yes.",
      ),
    ),
    storage: v.optional(
      field(
        v.array(
          v.strictObject({
            host: v.optional(
              pattern(
                /^[a-zA-Z0-9.-]+$/,
                'the host of one of `databases`',
                'The server, as in `databases`. Left out: that of all of them, if it is one.',
              ),
            ),
            identifier: serverIdentifier(),
          }),
        ),
        'a list of { identifier }, with "host" where there are several servers',
        'What CloudWatch calls the database servers, to ask it for their free space. Of a server that is not named it is unknown, and the answer never yes.',
      ),
      [],
    ),
  }),
  'an object, {} for the defaults',
  'Lets a person ask whether the client may be upgraded now: see docs/upgrade-check.md.',
);
