export type {
  CredentialReader,
  ReadReplica,
  WhenUnproven,
} from '../functions/credential-rotation/contract.ts';
export {
  type DatabaseAddress,
  ENGINES,
  type Engine,
  type Login,
} from '../functions/shared/database/contract/engine.ts';
export {
  PASSWORD_FORMS,
  type PasswordForm,
  type Strategy,
} from '../functions/shared/database/contract/rotation.ts';
export type {
  CredentialCopy,
  KeyPlace,
  ParameterPlace,
} from '../functions/shared/database/credential/copies.ts';
export type { CopyEncoding, CopyTemplate } from '../functions/shared/database/credential/copy-template.ts';
export type { PasswordRules } from '../functions/shared/database/credential/password.ts';
export type { Command } from '../functions/shared/ecs-exec/wrapper.ts';
export type { RolledService } from '../functions/shared/roll/rolled-service.ts';
export type { WebAppSettings } from '../functions/shared/whatsapp/settings.ts';
export type { JobTarget, StartRunSettings } from '../functions/start-run/contract.ts';
export type { ServerStorage } from '../functions/upgrade-check/contract.ts';
export { AlarmTopic, type AlarmTopicProps } from './alarm-topic.ts';
export { CallbackRelay, type CallbackRelayProps } from './callback-relay.ts';
export { PropsError } from './checks/props.ts';
export type { Window } from './checks/schedule.ts';
export {
  ContainerCommandJob,
  type ContainerCommandJobProps,
  type SecretForCommand,
} from './container-command-job.ts';
export {
  type ContainerReach,
  type ContainerServices,
  ContainersJob,
  type ContainersJobKind,
  type ContainersJobProps,
  type NamedContainerServices,
} from './containers-job.ts';
export type { RotatedCopy, RotatedCredential } from './credential-rotation/credential-copies.ts';
export type { CredentialParts } from './credential-rotation/credential-parts.ts';
export { CredentialRotation } from './credential-rotation/credential-rotation.ts';
export type {
  CredentialRotationProps,
  OtherCredential,
  RotatedService,
} from './credential-rotation/credential-rotation-props.ts';
export type { OnDashboard } from './dashboards/on-dashboard.ts';
export {
  OverviewDashboard,
  type OverviewDashboardProps,
  type OverviewedDeployment,
} from './dashboards/overview-dashboard.ts';
export { RunQueries, type RunQueriesProps } from './dashboards/run-queries.ts';
export { UpkeepDashboard, type UpkeepDashboardProps } from './dashboards/upkeep-dashboard.ts';
export { DeadLetterQueue, type DeadLetterQueueProps } from './dead-letter-queue.ts';
export { DURABLE_REGIONS } from './durable-regions.ts';
export type { ClusterReference, ServiceReference } from './ecs-services.ts';
export { createEncryptionKey, letServicesEncrypt } from './encryption.ts';
export type { FunctionNetwork } from './function-network.ts';
export {
  type EndpointService,
  InterfaceEndpoints,
  type InterfaceEndpointsProps,
} from './interface-endpoints.ts';
export { keepRecords } from './job-records.ts';
export { WEEKDAYS, type Weekday } from './local-time.ts';
export {
  type ExistingFileSystem,
  type LifecycleDays,
  type MediaThroughput,
  MediaVolume,
  type MediaVolumeProps,
} from './media-volume/media-volume.ts';
export { MediaVolumeAlarms, type MediaVolumeAlarmsProps } from './media-volume/media-volume-alarms.ts';
export {
  type MediaAccess,
  MediaVolumeBase,
  type MountLines,
  type MountOptions,
} from './media-volume/media-volume-base.ts';
export {
  MediaVolumeMigration,
  type MediaVolumeMigrationProps,
} from './media-volume/media-volume-migration.ts';
export {
  alarmOnMissing,
  alarmOnMissingMonthly,
  alarmOnMissingWeekly,
  type DailySuccess,
  hoursUntilMissed,
  type MonthlyHours,
  monthlyHours,
  type RunMetrics,
  type WeeklyHours,
  weeklyHours,
} from './missed-alarm.ts';
export type { NewTaskDefinition } from './new-task-job.ts';
export { ReloadOnChange } from './reload-on-change.ts';
export type {
  ReloadedService,
  ReloadOnChangeProps,
  WatchedValue,
} from './reload-on-change-props.ts';
export { ReportLostRun, type ReportLostRunProps } from './report-lost-run.ts';
export { letPublishReports } from './run-reports.ts';
export {
  type DailySchedule,
  type MonthlySchedule,
  StartRun,
  type StartRunProps,
  type WeeklySchedule,
} from './start-run.ts';
export { Upkeep, type UpkeepProps } from './upkeep.ts';
export { alarmOnAny, type UpkeepAlarmProps } from './upkeep-alarm.ts';
export { UpkeepFunction, type UpkeepFunctionProps } from './upkeep-function.ts';
export { UpkeepJob } from './upkeep-job.ts';
export type { JobReference, UpkeepJobProps } from './upkeep-job-props.ts';
export {
  ApplicationSettings,
  type ApplicationSettingsProps,
  type WantedSettings,
} from './whatsapp/application-settings.ts';
export { CallbacksBus, type CallbacksBusProps } from './whatsapp/callbacks-bus.ts';
export {
  ClientCredentialRotation,
  type ClientCredentialRotationProps,
  type ClientServices,
  type MetaTemplate,
  type RolledRole,
} from './whatsapp/client-credential-rotation.ts';
export { type ClientDatabases, setNameOf } from './whatsapp/client-databases.ts';
export {
  ConfigurationError,
  checkConfiguration,
  type Deployment,
  defineUpkeep,
  loadConfiguration,
  type UpkeepConfiguration,
} from './whatsapp/configuration/configuration.ts';
export { DatabaseSize, type DatabaseSizeProps } from './whatsapp/database-size.ts';
export { ENDPOINT_SERVICES } from './whatsapp/endpoint-services.ts';
export type { GcProps } from './whatsapp/gc-job.ts';
export { LogArchive, type LogArchiveProps } from './whatsapp/log-archive.ts';
export { type ClientRole, LogCleanup, type LogCleanupProps, type RoleLogs } from './whatsapp/log-cleanup.ts';
export { MediaGc, type MediaGcProps } from './whatsapp/media-gc.ts';
export {
  type MediaVolumeNetwork,
  MediaVolumeStack,
  type MediaVolumeStackProps,
} from './whatsapp/media-volume-stack.ts';
export { type MarkReadProps, MessageGc, type MessageGcProps } from './whatsapp/message-gc.ts';
export { UpgradeCheck, type UpgradeCheckProps } from './whatsapp/upgrade-check.ts';
export { UpkeepStack, type UpkeepStackProps } from './whatsapp/upkeep-stack.ts';
export { makeUpkeepStacks } from './whatsapp/upkeep-stacks.ts';
export type { WatchedTraffic } from './whatsapp/watched-traffic.ts';
