import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import { AlarmTopic } from './alarm-topic.ts';
import { DEPLOYMENT_NAME } from './deployment-name.ts';
import { letServicesEncrypt } from './encryption.ts';
import { ReportLostRun } from './report-lost-run.ts';
import { StartRun } from './start-run.ts';

export interface UpkeepProps {
  /**
   * Names what is looked after, and begins the name of everything made for it: unique in its account and region.
   * A letter, then letters, digits and hyphens, all lower case, at most 24.
   */
  readonly deployment: string;
  /** IANA name, of the schedules and the downtime window. */
  readonly timeZone: string;
  /** The downtime window: local times `HH:MM`; `to` before `from` crosses midnight. No run starts outside it, unless its job may (`outsideWindow`). */
  readonly window: { readonly from: string; readonly to: string };
  /**
   * Where the alarms go. Its policy must let CloudWatch publish; so must the policy of its key, if it has one.
   * @default a topic of its own
   */
  readonly topic?: ITopic;
  /** Subscribed to the topic, if it is its own. @default none */
  readonly emails?: string[];
  /**
   * Encrypts the queues, the logs, the functions' environment and the topic, if it is its own. What the AWS
   * services need is added to its policy, unless it is imported.
   * @default keys that AWS owns
   */
  readonly encryptionKey?: IKey;
  /** @default three months */
  readonly logRetention?: RetentionDays;
}

/** What the jobs of one deployment share: what starts them, what notices that one died, where their alarms go. */
export class Upkeep extends Construct {
  readonly deployment: string;
  readonly topic: ITopic;
  readonly encryptionKey: IKey | undefined;
  readonly logRetention: RetentionDays | undefined;
  readonly startRun: StartRun;
  readonly reportLostRun: ReportLostRun;

  constructor(scope: Construct, id: string, props: UpkeepProps) {
    super(scope, id);
    const { deployment, timeZone, window, encryptionKey, logRetention } = props;
    if (!DEPLOYMENT_NAME.test(deployment))
      throw new Error(
        `${this.node.path}: the deployment's name is "${deployment}"; it must be a lower-case letter, then at most 23 lower-case letters, digits and hyphens.`,
      );
    this.deployment = deployment;
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
    const shared = { deployment, topic: this.topic, encryptionKey, logRetention };
    this.startRun = new StartRun(this, 'StartRun', { ...shared, timeZone, window });
    this.reportLostRun = new ReportLostRun(this, 'ReportLostRun', shared);
  }
}
