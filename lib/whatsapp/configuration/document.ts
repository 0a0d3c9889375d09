import { writeFileSync } from 'node:fs';
import * as v from 'valibot';
import {
  isArraySchema,
  isObjectSchema,
  textOf,
  unwrappedOptional,
  valueText,
} from '../../checks/mistakes.ts';
import { DURABLE_REGIONS } from '../../durable-regions.ts';
import { ENDPOINT_SERVICES } from '../endpoint-services.ts';
import { configurationSchema } from './schema.ts';

/** docs/configuration.md, made from the schema. `node lib/whatsapp/configuration/document.ts` writes it. */
export function configurationDocument(): string {
  return `${[
    '# Configuration',
    '',
    '<!-- Made from the schema: node lib/whatsapp/configuration/document.ts -->',
    '',
    '`upkeep.config.ts` exports the configuration, typed by `defineUpkeep`. `cdk synth -c config=FILE` reads another',
    'file. When the CDK reads it, it is checked: every mistake is one sentence with the path of the field and what',
    'is allowed there, all of them at once, and nothing is synthesized. No look-up is made and no credentials are',
    'used.',
    '',
    'Each deployment becomes a stack of its own, `upkeep-NAME`, in its account and region; a media volume that is',
    'created one more, `upkeep-NAME-media`.',
    '',
    ...sectionsOf('', configurationSchema),
    '## Checked beyond the single field',
    '',
    '- A deployment has a name of its own, and a region with Lambda durable functions. Known as of January 2026:',
    `  ${DURABLE_REGIONS.join(', ')}. \`additionalDurableRegions\` adds those that have followed.`,
    '- A name does not end with `-media` where that makes it the name of the media volume of another deployment.',
    "- The downtime window is at least as long as each job's time limit, also in the nights in which daylight saving takes",
    '  an hour of it (of a weekly job, if its own night is one of these), and each schedule lies inside it with all its',
    '  flexible minutes.',
    '- No schedule is at a local time that daylight saving skips within ten years: EventBridge Scheduler skips the',
    '  run with it. Most zones skip 02:00 to 03:00; some, such as America/Santiago, Africa/Cairo and Asia/Beirut,',
    '  the hour after midnight.',
    '- The times of `messageGc` and `mediaGc`, with flexible minutes and time limit, do not overlap: they are never at work',
    '  at once.',
    "- Subnets lie in different availability zones of the deployment's region.",
    '- Media moves to archive only with elastic throughput and after infrequent access; its replica lies in another region.',
    "- The webhook's URL and the hashes of secret paths are what they must be; no message repeats them.",
    "- Secrets lie in the deployment's account and region, topics and keys in its region, and every ARN in the partition",
    '  of that region.',
    '- Somebody is told of the alarms of each deployment, unless `silent: true` says that nobody is.',
    '- No list names a thing twice; no container is cleaned twice.',
    '- A field that is `undefined` is one that is left out. Objects are plain ones: no lists, no instances of classes.',
    '- `upgradeCheck` comes with `databases`, and its `storage` names servers of these, each once.',
    "- A setting of WebApp's own stands in `expected` or in `settings` of `jobs.applicationSettings`, not in both.",
    '- `jobs.databaseSize` comes with `databases`, each set of which has a name of its own, given or made of its prefix.',
    "- `jobs.credentialRotation` comes with `databases`, one of whose servers it means; its strategy is one that the server's",
    '  engine can do without failed logins, or with those that are accepted; services and copies are named once each, and a',
    '  copy for a metrics exporter comes with its service.',
    '- `messageGc`, `mediaGc` and `logCleanup` do not begin, with their flexible minutes, while a run of `credentialRotation`',
    '  may be going on: from its `at` to the end of its flexible minutes and time limit. They may before it: it waits.',
    '- Each certificate file can be read, holds certificates that have not ended and no private key.',
    '',
    '## Ways to AWS from the VPC',
    '',
    'The functions that stand in the VPC call these services of AWS. Each needs a way there: a NAT gateway, an',
    "interface endpoint `com.amazonaws.REGION.SERVICE` with private DNS that lets the functions' security groups in",
    'on port 443, or `endpoints: "create"`, which makes exactly these.',
    '',
    '| Job | Services |',
    '|---|---|',
    ...Object.entries(ENDPOINT_SERVICES).map(([job, services]) => `| ${job} | ${services.join(', ')} |`),
    '',
    'start-run and report-lost-run stand outside the VPC. Logs and metrics need no endpoint.',
    '',
    '## Encryption',
    '',
    'With `customer-managed` the key encrypts the queues, the log groups, the environments of the functions, the',
    "callbacks bus, the stack's own topic and the history of durable executions (those that began after it was configured).",
    "The schedules' payload (names and times only) stays under a key that AWS owns. Whoever reads the result of a run needs",
    '`kms:Decrypt` for the key; a key that is disabled or deleted fails the runs that began with it, for good.',
    '',
    '## Taking a job out',
    '',
    'A job that is taken out of the configuration leaves its log, with all its reports, for `logRetentionDays`, and its',
    'dead-letter queue, with each letter for 14 days: the stack has both for every job, configured or not. A job that is put',
    'back goes on with them. They go with the stack: before `cdk destroy`, save what you want to keep.',
  ].join('\n')}\n`;
}

function sectionsOf(path: string, schema: v.GenericSchema): string[] {
  const inner = unwrappedOptional(schema);
  if (isArraySchema(inner)) return sectionsOf(`${path}[]`, inner.item);
  if (!isObjectSchema(inner)) return [];
  const fields = Object.entries(inner.entries);
  return [
    `## ${path === '' ? 'The top level' : `\`${path}\``}`,
    '',
    '| Field | Must be | Default | What it is |',
    '|---|---|---|---|',
    ...fields.map(([name, field]) => rowOf(name, field)),
    '',
    ...fields.flatMap(([name, field]) => sectionsOf(path === '' ? name : `${path}.${name}`, field)),
  ];
}

function rowOf(name: string, schema: v.GenericSchema): string {
  const { allowed = '', description = '' } = textOf(schema) ?? {};
  const columns = [`\`${name}\``, allowed, defaultOf(schema), description];
  return `| ${columns.map((column) => column.replaceAll('|', '\\|')).join(' | ')} |`;
}

function defaultOf(schema: v.GenericSchema): string {
  if (schema.type !== 'optional') return '**required**';
  const value: unknown = v.getDefault(schema as v.OptionalSchema<v.GenericSchema, unknown>);
  return value === undefined ? 'none' : `\`${valueText(value)}\``;
}

if (import.meta.main)
  writeFileSync(new URL('../../../docs/configuration.md', import.meta.url), configurationDocument());
