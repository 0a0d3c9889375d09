import { CfnOutput, Stack, Token } from 'aws-cdk-lib';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import { Construct, type IConstruct } from 'constructs';
import * as v from 'valibot';
import { AlarmTopic } from './alarm-topic.ts';
import { deploymentName, downtimeWindow, emails, field, timeZone } from './checks/fields.ts';
import type { Finding } from './checks/mistakes.ts';
import { checkProps, propertyNames, thing } from './checks/props.ts';
import { type Window, windowFindings } from './checks/schedule.ts';
import { regionProblems } from './durable-regions.ts';
import { letServicesEncrypt } from './encryption.ts';
import { ReportLostRun } from './report-lost-run.ts';
import { StartRun } from './start-run.ts';

/** What an `Upkeep` is made of. */
export interface UpkeepProps {
  /**
   * Names what is looked after, and begins the name of everything made for it: unique in its account and region.
   * A letter, then letters, digits and hyphens, all lower case, at most 24.
   */
  readonly deployment: string;
  /** IANA name, of the schedules and the downtime window. */
  readonly timeZone: string;
  /**
   * The downtime window: local times `HH:MM`; `to` before `from` crosses midnight. No run starts outside it, unless its
   * job may (`outsideWindow`). Ends that are the same are the whole day, which `wholeDay` must say.
   */
  readonly window: Window;
  /**
   * Where the alarms go. Its policy must let CloudWatch publish; so must the policy of its key, if it has one.
   * @default a topic of its own
   */
  readonly topic?: ITopic;
  /**
   * Where the alarms go that can wait for the morning: what was done by half, and what will matter in days. Its policy must let
   * CloudWatch publish, as that of `topic`.
   * @default where all others go
   */
  readonly warningTopic?: ITopic;
  /** Subscribed to the topic, if it is its own. @default none */
  readonly emails?: string[];
  /**
   * Encrypts the queues, the logs, the functions' environment and the topic, if it is its own. What the AWS
   * services need is added to its policy, unless it is imported.
   * @default keys that AWS owns
   */
  readonly encryptionKey?: IKey;
  /** How long the functions' logs are kept. @default three months */
  readonly logRetention?: RetentionDays;
  /**
   * Regions that got Lambda durable functions after the list here was written, as `DURABLE_REGIONS` gives it.
   * @default none
   */
  readonly additionalDurableRegions?: string[];
}

const NAMES = propertyNames<UpkeepProps>({
  deployment: true,
  timeZone: true,
  window: true,
  topic: true,
  warningTopic: true,
  emails: true,
  encryptionKey: true,
  logRetention: true,
  additionalDurableRegions: true,
});

const PROPS = v.looseObject({
  deployment: deploymentName('The deployment.'),
  timeZone: timeZone('Of the window.'),
  window: downtimeWindow('The downtime window.'),
  emails: v.optional(emails('Who is mailed.')),
  topic: v.optional(thing('topicArn', 'a topic, such as Topic.fromTopicArn(…)', 'Of the alarms.')),
  warningTopic: v.optional(
    thing('topicArn', 'a topic, such as Topic.fromTopicArn(…)', 'Of those that wait.'),
  ),
  encryptionKey: v.optional(thing('keyArn', 'a key, such as Key.fromKeyArn(…)', 'What encrypts.')),
  logRetention: v.optional(
    field(v.enum(RetentionDays), 'one of RetentionDays, which CloudWatch Logs knows', 'Of the logs.'),
  ),
  additionalDurableRegions: v.optional(
    field(
      v.array(field(v.string(), 'the name of a region', 'A region.')),
      'a list of regions',
      'The regions.',
    ),
  ),
});

/**
 * What the jobs of one deployment share: what starts them, what notices that one died, where their alarms go. Make one for each
 * deployment, and give it to all of its jobs: only those that share one know of each other (`conflictsWith`, `waitsFor`).
 */
export class Upkeep extends Construct {
  /** Its name. */
  readonly deployment: string;
  /** Where the alarms of all jobs go. */
  readonly topic: ITopic;
  /** Of what can wait for the morning. */
  readonly warningTopic: ITopic;
  /** What encrypts queues, logs and environment; `undefined` for keys that AWS owns. */
  readonly encryptionKey: IKey | undefined;
  /** How long logs are kept; `undefined` for three months. */
  readonly logRetention: RetentionDays | undefined;
  /** What starts the runs of all jobs. */
  readonly startRun: StartRun;
  /** What reports runs that ended without a report. */
  readonly reportLostRun: ReportLostRun;

  constructor(scope: Construct, id: string, props: UpkeepProps) {
    super(scope, id);
    checkProps(this, PROPS, props, () => this.findings(props), NAMES);
    const { deployment, timeZone, window, encryptionKey, logRetention } = props;
    this.deployment = deployment;
    remember(this);
    this.encryptionKey = encryptionKey;
    this.logRetention = logRetention;
    if (encryptionKey) letServicesEncrypt(encryptionKey, deployment);
    this.topic =
      props.topic ??
      new AlarmTopic(this, 'Alarms', {
        deployment,
        ...(props.emails && { emails: props.emails }),
        ...(encryptionKey && { encryptionKey }),
      }).topic;
    this.warningTopic = props.warningTopic ?? this.topic;
    const shared = { deployment, topic: this.topic, encryptionKey, logRetention };
    const { from, to } = window;
    this.startRun = new StartRun(this, 'StartRun', {
      ...shared,
      isAddressed: props.topic !== undefined || (props.emails ?? []).length > 0,
      timeZone,
      window: { from, to },
    });
    this.reportLostRun = new ReportLostRun(this, 'ReportLostRun', shared);
    this.reportLostRun.watchStarts(this.startRun.deadLetters.queue, this.startRun.scheduleDeadLetters.queue);
    new CfnOutput(this, 'AlarmTopicArn', {
      value: this.topic.topicArn,
      description: `Where the alarms of ${deployment} go`,
    });
  }
  private findings({
    deployment,
    window,
    topic,
    warningTopic,
    emails,
    additionalDurableRegions = [],
  }: UpkeepProps): Finding[] {
    const { region } = Stack.of(this);
    const other = this.sameDeployment(deployment);
    return [
      ...windowFindings(window).map(({ field, problem }) => ({ field: ['window', ...field], problem })),
      ...(Token.isUnresolved(region)
        ? []
        : regionProblems(region, additionalDurableRegions).map((problem) => ({
            field: ['env', 'region'],
            problem,
          }))),
      ...Object.entries({ topic, warningTopic }).flatMap(([field, each]) =>
        each === undefined || !isElsewhere(each.env.region, region)
          ? []
          : [
              {
                field: [field],
                problem: `is of ${each.env.region}; it must be of ${region}, for alarms reach topics of their own region only.`,
              },
            ],
      ),
      ...(topic && emails
        ? [{ field: ['emails'], problem: 'are for a topic of its own; they must be left out with topic.' }]
        : []),
      ...(other
        ? [
            {
              field: ['deployment'],
              problem: `is "${deployment}", as is that of ${other.node.path}: their functions and alarms would have the same names. It must be another name, or the jobs of both share that Upkeep.`,
            },
          ]
        : []),
    ];
  }

  /** What is made for the same deployment, in the same account and region as far as they are known. */
  private sameDeployment(deployment: string): Upkeep | undefined {
    const place = ({ account, region }: Stack) => JSON.stringify([account, region]);
    const stack = Stack.of(this);
    const isKnown = !Token.isUnresolved(place(stack));
    return madeOf(deployment, this.node.root).find((other) => {
      const otherStack = Stack.of(other);
      return otherStack === stack || (isKnown && place(otherStack) === place(stack));
    });
  }
}

/** By the app and the deployment: a walk through all of an app for each would take longer than all else where there are hundreds. */
const made = new WeakMap<IConstruct, Map<string, Upkeep[]>>();

/** What was made of a deployment in an app, and is still in it. */
function madeOf(deployment: string, app: IConstruct): Upkeep[] {
  return (made.get(app)?.get(deployment) ?? []).filter((each) => isInTree(each));
}

function remember(upkeep: Upkeep): void {
  const { root } = upkeep.node;
  const ofApp = made.get(root) ?? new Map<string, Upkeep[]>();
  made.set(root, ofApp.set(upkeep.deployment, [...(ofApp.get(upkeep.deployment) ?? []), upkeep]));
}

function isInTree({ node }: IConstruct): boolean {
  const { scope } = node;
  return scope === undefined || (scope.node.tryFindChild(node.id)?.node === node && isInTree(scope));
}

function isElsewhere(region: string, own: string): boolean {
  return !Token.isUnresolved(region) && !Token.isUnresolved(own) && region !== own;
}
