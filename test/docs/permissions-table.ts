import { readFileSync, writeFileSync } from 'node:fs';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { checkConfiguration, type Deployment } from '../../lib/whatsapp/configuration/configuration.ts';
import { MediaVolumeStack } from '../../lib/whatsapp/media-volume-stack.ts';
import { UpkeepStack } from '../../lib/whatsapp/upkeep-stack.ts';
import sample from '../../upkeep.config.ts';

const REPOSITORY = new URL('../../', import.meta.url).pathname;

/** What lies between them in docs/security.md is made from the templates. */
const BEGIN = '<!-- Made from the templates: node test/docs/permissions-table.ts -->';
const END = '<!-- End of what is made -->';

/** Why, by the statement's id, without the numbers and names of jobs at its end; of one without an id by its actions. */
const REASONS: Record<string, string> = {
  CallRotateSecret: 'Secrets Manager wants it of whoever starts a rotation',
  CallStartRun: 'a schedule starts a run',
  Decrypt: "the deployment's key: the environment, the queues",
  DecryptAdministrator: "the administrator's secret has a key of its own",
  DecryptApiUser: "the API user's secret has a key of its own",
  DecryptCopy: 'the copy has a key of its own',
  DecryptCredential: 'the rotated secret has a key of its own',
  DecryptDatabaseUser: "the database user's secret has a key of its own",
  DecryptSecret: 'the rotated secret has a key of its own',
  DescribeTasks: "the tasks' containers and states",
  EncryptCopy: 'the copy has a key of its own',
  EncryptForDeadLetterQueue: 'what it failed at is kept, encrypted',
  EncryptSecret: 'the rotated secret has a key of its own',
  EncryptSessions: "the sessions of ECS Exec are encrypted with the cluster's key",
  EncryptKeptLogs: 'the bucket of the rotated logs has a key',
  EndLostSessions:
    "a lost session holds one of a container's two places. It reaches people's own shells in these containers too, and resuming hands out their stream",
  ExecuteInContainers: 'the command, in the named containers only',
  FindEarlierRuns: 'which callbacks earlier runs still await, that a late one is not taken for an answer',
  FindDelivery: 'whether a run is waiting for the rotation',
  FindGcRuns: 'when message-gc last succeeded, and whether one goes on',
  FindHosts: 'where a task runs',
  FindRuns: 'whether a job goes on, during which no yes is said',
  FollowDeployments: 'follows the deployment of new tasks',
  FollowOtherRuns: 'no restart in the middle of the work of others',
  FollowRunsOf:
    "whether a run that is in the way has ended. A run's result is its report, which holds no secret",
  HowRunsEnded:
    'whether a lost run was ended by force again and again. What is on record of a run holds no secret',
  KeepLogs:
    'keeps rotated logs before they are cleaned: new objects under the name of the deployment. It can neither read, nor replace, nor delete one',
  KeepDurableState: "a durable run's own state",
  LambdaStandsInTheVpc:
    "Lambda stands in the VPC with them, and they work only where they are allowed on everything (Lambda's guide, VPC). The role denies them to the function's own code",
  ListTasks:
    'finds the tasks: of the named clusters only. Its one resource type is a container instance that a request may ask by',
  NotTheCodeItself: '(denied) what Lambda may do in the name of the role, the code may not',
  OnTaggedHosts: 'on the instances with the configured tag only',
  OpenSessions: "a session's websocket is opened with a signature, which Session Manager will soon demand",
  PublishRunReports: "a run's report, as an event of the source `upkeep`",
  PutCallbacks: 'puts callbacks there, of the source `whatsapp`',
  ReadAdministrator: 'changes the password, and retires the old one',
  ReadApiUser: 'logs in to WebApp',
  ReadCopy: 'compares the copy with the credential. It keeps no value',
  ReadCredential: 'compares the copies with it. It keeps no value',
  ReadDatabaseUser: 'logs in to the databases, where its user may read no row: see docs/database-size.md',
  ReadEarlierRuns:
    "which callbacks earlier runs still await. A run's result is its report, which holds no secret",
  ReadGcRuns: "how message-gc's runs ended. A run's result is its report, which holds no secret",
  ReadLastBackup:
    "the age of the media volume's last backup. The action has no resource types: the role could ask when any resource of the account was last backed up",
  ReadLedger: 'a run starts once, and not beside another',
  ReadPastMetrics:
    "rows of the last week, for the pace; rows of earlier runs; free space of the servers. The action's one resource type is a dataset, and metrics are in none: the role could read all of the account and region",
  ReadResults: 'results. Commands cannot be named',
  ReadTaskDefinitions:
    'whether a task definition pins a version of the secret. ECS describes them on no resource',
  ReadRotation:
    'tells how the rotation ended, gives up one that was abandoned; logs in with what it delivers',
  ReceiveGcNotifications: 'callbacks; what is unreadable is given back',
  ReceiveUnreadMessages: "messages to mark read; notices SQS's limit of messages in flight",
  ReplaceTasks:
    'since when tasks run; replaces them one by one where a deployment would take several at once',
  RollServices:
    'asks for new tasks, and follows them. The role could also give these services another revision of their task definition, or switch ECS Exec on: whether the keys against that have values where a request names neither is documented nowhere',
  RotateSecret: "Secrets Manager's four steps",
  RunDocuments: 'a document holds the command, and runs it in containers that ECS labels as the named ones',
  SeeServices: 'whether they are steady',
  SeeWhoIsTold: 'whether anybody gets the alarms',
  SendToDeadLetterQueue: 'what it failed at is kept',
  'sqs:SendMessage': 'what it failed at is kept',
  Start: 'starts runs',
  StartDelivery:
    'a rotation that somebody started by hand is delivered too. By it the role could have any job of the deployment started, at any time (`outsideWindow`), though never beside another',
  AskStartRun:
    'it tells which runs go on, and preparing has message-gc started. By it the role could have any job of the deployment started, at any time (`outsideWindow`), though never beside another',
  StartRotation: 'starts the rotation: by rotate-secret only, and with the rules that it has',
  WriteCopy: 'writes the password there, with the same key',
  WriteLedger: 'a run starts once, and not beside another; pages older than an hour are deleted',
  TakeLetters:
    "takes the event of a run that it has told of from the job's dead letters, and that of a start that failed from those of starts",
  WhatRang: "whether other alarms have told of a run's problems: then the run's own does not",
  WhetherRunsBegan: 'whether start-run, which failed at a start, had begun its run all the same',
  WriteLog: 'its log, and by it its metrics',
};

interface Statement {
  Sid?: string;
  Effect: string;
  Action: string | string[];
  Resource: unknown;
  Condition?: Record<string, Record<string, unknown>>;
}

/** What a statement allows, of every deployment in which it stands. */
interface Row {
  who: Set<string>;
  actions: Set<string>;
  resources: Set<string>;
  conditions: Set<string>;
  reason: string;
}

/**
 * The permissions of each role, made from the templates of the sample and of one deployment with what the sample leaves out.
 * @throws Error naming a statement for which no reason is given.
 */
export function permissionsTable(): string {
  const rows = new Map<string, Row>();
  for (const { name, template } of everyTemplate()) {
    for (const [id, statement] of statementsOf(template)) {
      const who = roleName(id, template, name);
      const sid = (statement.Sid ?? String([statement.Action].flat().join())).replace(/\d+$/, '');
      const reasonId = Object.hasOwn(REASONS, sid) ? sid : sid.replace(/^(FollowRunsOf|Start)[a-z]+$/, '$1');
      const reason = Object.hasOwn(REASONS, reasonId) ? REASONS[reasonId] : undefined;
      if (!reason) throw new Error(`No reason is given for the statement ${sid} of ${who}.`);
      const isOfAll = ['WriteLog', 'KeepDurableState', 'PublishRunReports', 'sqs:SendMessage'].includes(sid);
      const key =
        isOfAll || /^(LambdaStands|NotTheCode|SendTo|Decrypt$|EncryptFor)/.test(sid)
          ? sid
          : `${who} ${reasonId}`;
      const row = rows.get(key) ?? {
        who: new Set(),
        actions: new Set(),
        resources: new Set(),
        conditions: new Set(),
        reason,
      };
      row.who.add(who);
      for (const action of [statement.Action].flat()) row.actions.add(action);
      for (const resource of [statement.Resource].flat())
        row.resources.add(resourceName(resource, template, name, who));
      for (const [operator, values] of Object.entries(statement.Condition ?? {}))
        for (const [conditionKey, value] of Object.entries(values))
          row.conditions.add(
            `${operator} \`${conditionKey}\` ${[value]
              .flat()
              .map((one) => resourceName(one, template, name, who))
              .join(', ')}`,
          );
      rows.set(key, row);
    }
  }
  const sorted = [...rows.values()].sort((left, right) => order(left).localeCompare(order(right)));
  return [
    '| Role of | Action | On | If | Why |',
    '|---|---|---|---|---|',
    ...sorted.map(({ who, actions, resources, conditions, reason }) =>
      [
        '',
        [...who].sort().join(', '),
        [...actions]
          .sort()
          .map((action) => `\`${action}\``)
          .join(', '),
        [...resources].sort().join(', '),
        [...conditions].sort().join('; '),
        reason,
        '',
      ]
        .join(' | ')
        .trim(),
    ),
  ].join('\n');
}

/** Many first, then by name. */
function order({ who, actions }: Row): string {
  return `${who.size > 2 ? 0 : 1} ${[...who].sort().join()} ${[...actions].sort().join()}`;
}

/** docs/security.md with the table as it is now. */
export function securityDocument(text: string): string {
  const [before, after] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (before < 0 || after < 0) throw new Error(`docs/security.md lacks ${BEGIN} or ${END}.`);
  return `${text.slice(0, before)}${BEGIN}\n\n${permissionsTable()}\n\n${text.slice(after)}`;
}

let made: { name: string; template: Template }[] | undefined;

/** Of the sample's deployments, and of one with more parts: together they have every permission and every alarm. Made once. */
export function everyTemplate(): { name: string; template: Template }[] {
  made ??= makeTemplates();
  return made;
}

function makeTemplates(): { name: string; template: Template }[] {
  const [, emea] = structuredClone(sample.deployments);
  const source = { file: 'upkeep.config.ts', folder: REPOSITORY };
  const withMore = {
    ...sample,
    deployments: [
      {
        ...emea,
        name: 'more',
        mediaVolume: {
          create: {
            throughput: 'bursting' as const,
            clientSecurityGroupIds: ['sg-0a1b2c3d4e5f60009'],
            roleArns: ['arn:aws:iam::222222222222:role/emea-webapp'],
          },
        },
        callbacks: {
          relay: { webhookUrl: 'https://webhook.example.com', secretPathHashes: ['a'.repeat(64)] },
        },
      },
    ],
  };
  const app = new App({ context: { 'aws:cdk:bundling-stacks': [] } });
  const deployments: Deployment[] = [sample, withMore].flatMap((one) => checkConfiguration(one, source));
  const stacks = deployments.map((deployment) => {
    const media = MediaVolumeStack.ofDeployment(app, `upkeep-${deployment.name}-media`, deployment);
    return new UpkeepStack(app, `upkeep-${deployment.name}`, { deployment, mediaVolume: media?.volume });
  });
  return stacks.map((stack) => ({ name: stack.upkeep.deployment, template: Template.fromStack(stack) }));
}

function statementsOf(template: Template): [string, Statement][] {
  const policies = Object.values(template.findResources('AWS::IAM::Policy')).flatMap(
    ({ Properties: { PolicyDocument: document, Roles: roles } }): [string, Statement][] =>
      document.Statement.flatMap((statement: Statement) =>
        roles.map(({ Ref: role }: { Ref: string }) => [role, statement]),
      ),
  );
  const inline = Object.entries(template.findResources('AWS::IAM::Role')).flatMap(
    ([role, { Properties: properties }]): [string, Statement][] =>
      (properties.Policies ?? []).flatMap(
        ({ PolicyDocument: document }: { PolicyDocument: { Statement: Statement[] } }) =>
          document.Statement.map((statement) => [role, statement]),
      ),
  );
  return [...policies, ...inline];
}

/** The function that has the role, without the deployment's name. */
function roleName(role: string, template: Template, deployment: string): string {
  const has = Object.values(template.findResources('AWS::Lambda::Function')).find(
    ({ Properties: { Role } }) => Role['Fn::GetAtt']?.[0] === role,
  );
  const name: string | undefined = has?.Properties.FunctionName;
  return name ? name.slice(deployment.length + 1) : 'the schedules';
}

/** A resource as people know it, the same for each deployment. */
function resourceName(value: unknown, template: Template, deployment: string, who: string): string {
  const text = textIn(value, template)
    .replace(/^arn:aws[\w-]*:([\w-]+):[^:]*:[^:]*:/, '$1 ')
    .replaceAll(`${deployment}-${who}`, 'FUNCTION')
    .replaceAll(new RegExp(`\\b${deployment}\\b`, 'g'), 'DEPLOYMENT')
    .replace(/^(secretsmanager secret:).*$/, '$1(the configured)')
    .replace(/^(kms key\/).*$/, '$1(the configured)')
    .replace(/^(ssm parameter\/)(?!upkeep).*$/, '$1(the configured)')
    .replace(
      /^(ecs (?:service|service-deployment|cluster|task|container-instance))\/(?:[\w-]+)(\/[\w-]+)?(\/\*)?$/,
      '$1/(the configured)$3',
    )
    .replace(/^(ssm document\/).*$/, '$1(its own)');
  return `\`${text}\``;
}

function textIn(value: unknown, template: Template): string {
  if (typeof value !== 'object' || value === null) return String(value);
  if ('Ref' in value) return value.Ref === 'AWS::Partition' ? 'aws' : nameOf(String(value.Ref), template);
  if ('Fn::GetAtt' in value) return nameOf((value['Fn::GetAtt'] as [string, string])[0], template);
  if ('Fn::Join' in value)
    return (value['Fn::Join'] as [string, unknown[]])[1].map((part) => textIn(part, template)).join('');
  throw new Error(`${JSON.stringify(value)} cannot be shown.`);
}

function nameOf(id: string, template: Template): string {
  const resource = template.toJSON().Resources[id];
  const { Type: type = id, Properties: properties = {} } = resource ?? {};
  if (type === 'AWS::Lambda::Alias') return `${nameOf(properties.FunctionName.Ref, template)}:live`;
  const kind = String(type).split('::').slice(1).join(' ').toLowerCase();
  const name = ['FunctionName', 'QueueName', 'TopicName', 'LogGroupName', 'Name']
    .map((property) => properties[property])
    .find((given) => typeof given === 'string');
  return name ? `${kind.replace(/ .*/, '')} ${name}` : kind === 'kms key' ? "the deployment's key" : kind;
}

if (import.meta.main) {
  const file = `${REPOSITORY}docs/security.md`;
  writeFileSync(file, securityDocument(readFileSync(file, 'utf8')));
}
