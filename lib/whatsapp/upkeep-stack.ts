import { CfnOutput, Duration, Size, type StackProps } from 'aws-cdk-lib';
import { SecurityGroup } from 'aws-cdk-lib/aws-ec2';
import { Topic } from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';
import { passwordCopiesAlarmName } from '../../functions/database-size/contract.ts';
import { CallbackRelay } from '../callback-relay.ts';
import { PropsError } from '../checks/props.ts';
import { UpkeepDashboard } from '../dashboards/upkeep-dashboard.ts';
import { createEncryptionKey } from '../encryption.ts';
import type { FunctionNetwork } from '../function-network.ts';
import { InterfaceEndpoints } from '../interface-endpoints.ts';
import { keepLog, keepRecords } from '../job-records.ts';
import { MediaVolume } from '../media-volume/media-volume.ts';
import { MediaVolumeAlarms } from '../media-volume/media-volume-alarms.ts';
import type { MediaVolumeBase } from '../media-volume/media-volume-base.ts';
import { Upkeep } from '../upkeep.ts';
import { ApplicationSettings } from './application-settings.ts';
import { CallbacksBus } from './callbacks-bus.ts';
import { ClientCredentialRotation } from './client-credential-rotation.ts';
import type { Deployment } from './configuration/checks.ts';
import {
  passwordRules,
  rotatedServers,
  rotationStrategy,
} from './configuration/credential-rotation-checks.ts';
import { dashboardParts } from './dashboard-parts.ts';
import { DatabaseSize } from './database-size.ts';
import {
  clientDatabases,
  clientServices,
  containerReach,
  credentialCopies,
  dailySchedule,
  endpointServices,
  networkOf,
  relayProps,
  secretOf,
  webAppProps,
  weeklySchedule,
} from './deployment-props.ts';
import type { GcProps } from './gc-job.ts';
import { JOB_PATHS, OTHER_LOG_PATHS } from './job-paths.ts';
import { LastingIdsStack } from './lasting-ids-stack.ts';
import { configuredArchive } from './log-archive.ts';
import { LogCleanup } from './log-cleanup.ts';
import { MediaGc } from './media-gc.ts';
import { printLines } from './media-volume-stack.ts';
import { MessageGc } from './message-gc.ts';
import { UpgradeCheck } from './upgrade-check.ts';

/** What an `UpkeepStack` is made of. */
export interface UpkeepStackProps extends Omit<StackProps, 'env'> {
  /** A checked one: see `loadConfiguration`. */
  readonly deployment: Deployment;
  /** The media volume, where one is created: see {@link MediaVolumeStack.ofDeployment}. @default as configured */
  readonly mediaVolume?: MediaVolumeBase | undefined;
}

/** The upkeep of one WhatsApp deployment, in its account and region. Nothing in it touches another deployment. */
export class UpkeepStack extends LastingIdsStack {
  /** What the deployment's jobs share. */
  readonly upkeep: Upkeep;
  /** The bus on which the client's callbacks come. */
  readonly callbacks: CallbacksBus;
  /** Passes callbacks on, where that is configured. */
  readonly relay: CallbackRelay | undefined;
  /** Collects messages, where that is configured. */
  readonly messageGc: MessageGc | undefined;
  /** Collects media, where that is configured. */
  readonly mediaGc: MediaGc | undefined;
  /** Measures the databases, where that is configured. */
  readonly databaseSize: DatabaseSize | undefined;
  /** Cleans up logs, where that is configured. */
  readonly logCleanup: LogCleanup | undefined;
  /** Rotates the database password, where that is configured. */
  readonly credentialRotation: ClientCredentialRotation | undefined;
  /** Looks after WebApp's own settings, where that is configured. */
  readonly applicationSettings: ApplicationSettings | undefined;
  /** Says whether an upgrade may begin, where that is configured. */
  readonly upgradeCheck: UpgradeCheck | undefined;
  /** The volume for media, where that is configured. */
  readonly mediaVolume: MediaVolumeBase | undefined;

  constructor(scope: Construct, id: string, { deployment, mediaVolume, ...props }: UpkeepStackProps) {
    super(scope, id, {
      description: `Upkeep of the WhatsApp Business API client ${deployment.name}`,
      ...props,
      env: { account: deployment.account, region: deployment.region },
    });
    const { name, timeZone, window, notifications, logRetentionDays } = deployment;
    const { messageGc, mediaGc, databaseSize, logCleanup, credentialRotation, applicationSettings } =
      deployment.jobs;
    const encryptionKey =
      deployment.encryption === 'customer-managed' ? createEncryptionKey(this, 'Key', name) : undefined;

    this.upkeep = new Upkeep(this, 'Upkeep', {
      deployment: name,
      timeZone,
      window,
      additionalDurableRegions: deployment.additionalDurableRegions,
      logRetention: logRetentionDays,
      ...(notifications.topicArn && { topic: Topic.fromTopicArn(this, 'Topic', notifications.topicArn) }),
      ...(notifications.emails && { emails: notifications.emails }),
      ...(encryptionKey && { encryptionKey }),
    });
    this.callbacks = new CallbacksBus(this, 'Callbacks', {
      deployment: name,
      topic: this.upkeep.topic,
      encryptionKey,
      keepUnreadMessages: messageGc?.markRead !== undefined,
      senders: deployment.callbacks.senders,
    });

    // What only the construct finds, such as settings that do not fit, is told of the field that it was made from.
    const inField = <Made>(field: string, make: () => Made): Made => {
      try {
        return make();
      } catch (error) {
        if (!(error instanceof PropsError)) throw error;
        throw new PropsError(`${deployment.field}.${field}`, error.mistakes);
      }
    };
    const network = networkOf(this, deployment);
    this.mediaVolume = mediaVolume ?? this.attachMediaVolume(deployment);
    if (this.mediaVolume) this.watchMediaVolume(this.mediaVolume, deployment);
    if (messageGc)
      this.messageGc = inField('jobs.messageGc', () => this.createMessageGc(messageGc, deployment, network));
    if (mediaGc)
      this.mediaGc = inField('jobs.mediaGc', () => this.createMediaGc(mediaGc, deployment, network));
    if (logCleanup) this.logCleanup = inField('jobs.logCleanup', () => this.createLogCleanup(logCleanup));
    if (credentialRotation)
      this.credentialRotation = inField('jobs.credentialRotation', () =>
        this.createCredentialRotation(credentialRotation, deployment, network),
      );
    if (databaseSize)
      this.databaseSize = inField('jobs.databaseSize', () =>
        this.createDatabaseSize(databaseSize, deployment, network),
      );
    if (applicationSettings)
      this.applicationSettings = inField('jobs.applicationSettings', () =>
        this.createApplicationSettings(applicationSettings, deployment, network),
      );
    const { upgradeCheck } = deployment;
    if (upgradeCheck)
      this.upgradeCheck = inField('upgradeCheck', () =>
        this.createUpgradeCheck(upgradeCheck, deployment, network),
      );
    for (const [job, path] of Object.entries(JOB_PATHS))
      keepRecords(this, path, { upkeep: this.upkeep, job });
    const { relay } = deployment.callbacks;
    if (relay) this.relay = inField('callbacks.relay', () => this.createRelay(relay, deployment, network));
    for (const [part, path] of Object.entries(OTHER_LOG_PATHS))
      keepLog(this, path, { upkeep: this.upkeep, part });
    if (deployment.network.endpoints === 'create')
      new InterfaceEndpoints(this, 'Endpoints', {
        network,
        services: endpointServices(deployment, {
          tellsRows: this.messageGc?.tellsRows === true,
          hasMediaVolume: this.mediaVolume !== undefined,
        }),
        otherClients: deployment.network.otherEndpointClients.map((securityGroupId) =>
          SecurityGroup.fromSecurityGroupId(this, securityGroupId, securityGroupId, { mutable: false }),
        ),
      });

    if (deployment.dashboards)
      new UpkeepDashboard(this, 'Dashboard', { upkeep: this.upkeep, parts: dashboardParts(this) });
    new CfnOutput(this, 'CallbacksBusName', {
      value: this.callbacks.bus.eventBusName,
      description: 'The EventBusName with which the webhook puts events',
    });
    new CfnOutput(this, 'CallbacksSenderPolicy', {
      value: this.callbacks.senderPolicy(),
      description: "The policy for the webhook's role, where the role is not among callbacks.senders",
    });
    new CfnOutput(this, 'StartRunFunctionName', {
      value: this.upkeep.startRun.function.function.functionName,
      description: 'Starts a run by hand: payload {"job":"message-gc","deployment":"…"}',
    });
  }

  private createRelay(
    settings: NonNullable<Deployment['callbacks']['relay']>,
    deployment: Deployment,
    network: FunctionNetwork,
  ): CallbackRelay {
    const { topic, encryptionKey, logRetention } = this.upkeep;
    const relay = new CallbackRelay(this, 'CallbackRelay', {
      ...relayProps(settings, deployment),
      bus: this.callbacks.bus,
      topic,
      encryptionKey,
      logRetention,
      ...(settings.inVpc && { network }),
    });
    new CfnOutput(this, 'CallbackRelayUrl', {
      value: relay.functionUrl.url,
      description: "The client's callback URL, when the secret path is put at its end",
    });
    return relay;
  }

  private attachMediaVolume({ name, mediaVolume }: Deployment): MediaVolumeBase | undefined {
    if (!mediaVolume?.existing) return undefined;
    const { existing, directory, owner } = mediaVolume;
    const volume = MediaVolume.fromFileSystem(this, 'MediaVolume', {
      deployment: name,
      fileSystemId: existing.fileSystemId,
      securityGroupId: existing.securityGroupId,
      ...(existing.accessPointId && { accessPointId: existing.accessPointId }),
      access: { directory, ...(owner && { owner }) },
    });
    printLines(this, volume);
    return volume;
  }

  private watchMediaVolume(volume: MediaVolumeBase, { mediaVolume, jobs }: Deployment): void {
    const { create, existing, maximumSizeGibibytes, maximumBackupAgeHours } = mediaVolume ?? {};
    const age = maximumBackupAgeHours && { maximumBackupAge: Duration.hours(maximumBackupAgeHours) };
    new MediaVolumeAlarms(this, 'MediaVolumeAlarms', {
      volume,
      topic: this.upkeep.topic,
      bursting: (create ?? existing)?.throughput === 'bursting',
      ...(maximumSizeGibibytes && { maximumSize: Size.gibibytes(maximumSizeGibibytes) }),
      // An alarm on a metric that nobody publishes would never ring, and look like one that watches.
      ...(jobs.databaseSize ? age : { maximumBackupAge: false }),
    });
  }

  private createDatabaseSize(
    settings: NonNullable<Deployment['jobs']['databaseSize']>,
    { databases }: Deployment,
    network: FunctionNetwork,
  ): DatabaseSize {
    const { exactCountTimeLimitSeconds: seconds } = settings;
    return new DatabaseSize(this, 'DatabaseSize', {
      upkeep: this.upkeep,
      sets: clientDatabases(databases),
      network,
      schedule: dailySchedule(settings.schedule),
      timeLimit: Duration.minutes(settings.timeLimitMinutes),
      ...(seconds && { exactCountTimeLimit: Duration.seconds(seconds) }),
      mediaVolume: this.mediaVolume,
      passwordCopies: this.credentialRotation?.rotation.credential,
    });
  }

  private createLogCleanup(settings: NonNullable<Deployment['jobs']['logCleanup']>): LogCleanup {
    return new LogCleanup(this, 'LogCleanup', {
      upkeep: this.upkeep,
      cluster: settings.clusterName,
      roles: settings.roles,
      schedule: dailySchedule(settings.schedule),
      timeLimit: Duration.minutes(settings.timeLimitMinutes),
      timeout: Duration.minutes(settings.timeoutMinutes),
      concurrency: settings.concurrency,
      script: settings.script,
      nearlyFullPercent: settings.nearlyFullPercent,
      ...(settings.archive && { archive: configuredArchive(this, settings.archive) }),
      reach: containerReach(settings),
    });
  }

  private createCredentialRotation(
    settings: NonNullable<Deployment['jobs']['credentialRotation']>,
    deployment: Deployment,
    network: FunctionNetwork,
  ): ClientCredentialRotation {
    const { secret, administrator, metaTemplate, copies, maximumAgeDays } = settings;
    const [server] = rotatedServers(deployment.databases ?? [], settings.host);
    if (!server) throw new Error('A configuration that was checked has a database to rotate in.');
    const { engine, host, port, certificateAuthority } = server;
    return new ClientCredentialRotation(this, 'CredentialRotation', {
      upkeep: this.upkeep,
      ...webAppProps(deployment),
      secret: secretOf(this, 'Secret', secret),
      ...(administrator && { administrator: secretOf(this, 'Administrator', administrator) }),
      database: { engine, host, port, certificateAuthority },
      strategy: rotationStrategy(settings.strategy),
      acceptFailedLogins: settings.acceptFailedLogins,
      password: passwordRules(settings.password),
      cluster: settings.clusterName,
      services: settings.services,
      order: settings.order,
      ...(metaTemplate && { metaTemplate }),
      copies: credentialCopies(copies),
      network,
      // It looks at the copies each night, whichever is made first.
      ...(deployment.jobs.databaseSize && { copiesAlarmName: passwordCopiesAlarmName(deployment.name) }),
      waitsFor: [this.messageGc, this.mediaGc, this.logCleanup].flatMap((part) => part?.job.job ?? []),
      schedule: dailySchedule(settings.schedule),
      timeLimit: Duration.minutes(settings.timeLimitMinutes),
      rotateAfter: Duration.days(settings.rotateAfterDays),
      ...(maximumAgeDays && { maximumAge: Duration.days(maximumAgeDays) }),
      rotationTimeout: Duration.minutes(settings.rotationTimeoutMinutes),
      steadyTimeout: Duration.minutes(settings.steadyTimeoutMinutes),
      retirementPatience: Duration.minutes(settings.retirementPatienceMinutes),
      ...(settings.replicas && {
        replicas: settings.replicas.map(({ host, port }) => ({ host, ...(port && { port }) })),
      }),
      ...(settings.whenUnproven && { whenUnproven: settings.whenUnproven }),
    });
  }

  private createApplicationSettings(
    settings: NonNullable<Deployment['jobs']['applicationSettings']>,
    deployment: Deployment,
    network: FunctionNetwork,
  ): ApplicationSettings {
    return new ApplicationSettings(this, 'ApplicationSettings', {
      upkeep: this.upkeep,
      ...webAppProps(deployment, settings.administrator),
      network,
      schedule: weeklySchedule(settings.schedule),
      timeLimit: Duration.minutes(settings.timeLimitMinutes),
      ...(settings.expected && { expected: settings.expected }),
      ...(settings.settings && { settings: settings.settings }),
    });
  }

  private createUpgradeCheck(
    settings: NonNullable<Deployment['upgradeCheck']>,
    { databases = [], jobs }: Deployment,
    network: FunctionNetwork,
  ): UpgradeCheck {
    const [{ host: onlyHost = '' } = {}] = databases;
    return new UpgradeCheck(this, 'UpgradeCheck', {
      upkeep: this.upkeep,
      sets: clientDatabases(databases),
      network,
      messageGc: this.messageGc?.job,
      otherJobs: [this.mediaGc, this.logCleanup, this.credentialRotation?.rotation].flatMap(
        (part) => part?.job ?? [],
      ),
      maximumGcAge: Duration.hours(settings.maximumGcAgeHours),
      services: settings.services ?? clientServices(jobs),
      storage: settings.storage.map(({ host = onlyHost, identifier }) => ({ host, identifier })),
    });
  }

  private createMessageGc(
    settings: NonNullable<Deployment['jobs']['messageGc']>,
    deployment: Deployment,
    network: FunctionNetwork,
  ): MessageGc {
    const { schedule, markRead } = settings;
    return new MessageGc(this, 'MessageGc', {
      ...this.gcProps(settings, deployment, network),
      schedule: dailySchedule(schedule),
      sets: settings.tellRows ? clientDatabases(deployment.databases) : [],
      ...(settings.watchWindow && { watchWindow: settings.watchWindow }),
      ...(markRead && {
        markRead: {
          olderThan: Duration.hours(markRead.olderThanHours),
          requestsPerSecond: markRead.requestsPerSecond,
          concurrency: markRead.concurrency,
        },
      }),
    });
  }

  private createMediaGc(
    settings: NonNullable<Deployment['jobs']['mediaGc']>,
    deployment: Deployment,
    network: FunctionNetwork,
  ): MediaGc {
    return new MediaGc(this, 'MediaGc', {
      ...this.gcProps(settings, deployment, network),
      schedule: weeklySchedule(settings.schedule),
    });
  }

  private gcProps(
    settings: NonNullable<Deployment['jobs']['messageGc' | 'mediaGc']>,
    deployment: Deployment,
    network: FunctionNetwork,
  ): Omit<GcProps, 'schedule'> {
    return {
      upkeep: this.upkeep,
      callbacks: this.callbacks,
      relayed: deployment.callbacks.relay !== undefined,
      ...webAppProps(deployment),
      network,
      timeLimit: Duration.minutes(settings.timeLimitMinutes),
      maximumCalls: settings.maximumCalls,
      pause: Duration.seconds(settings.pauseSeconds),
      callbackTimeout: Duration.minutes(settings.callbackTimeoutMinutes),
    };
  }
}
