import { Duration } from 'aws-cdk-lib';
import type { IBaseService } from 'aws-cdk-lib/aws-ecs';
import type { IDatabaseCluster, IDatabaseInstance } from 'aws-cdk-lib/aws-rds';
import type { DatabaseAddress, Engine } from '../../functions/shared/database/contract/engine.ts';
import type { FieldPath } from '../checks/mistakes.ts';
import { clusterNameOf } from '../ecs-services.ts';
import type { CredentialRotationProps, RotatedService } from './credential-rotation-props.ts';

/** What the properties of a rotation mean, by names and ARNs: tokens of the CDK, where these are known later. */
export interface Rotated {
  readonly secretArn: string;
  readonly secretKeyArn: string | undefined;
  readonly adminSecretArn: string | undefined;
  readonly adminSecretKeyArn: string | undefined;
  readonly database: DatabaseAddress;
  readonly clusterName: string;
  readonly services: RotatedService[];
}

export const DEFAULT_ROTATE_AFTER = Duration.days(30);
export const DEFAULT_ROTATION_TIMEOUT = Duration.minutes(15);
export const DEFAULT_STEADY_TIMEOUT = Duration.minutes(20);
/** Longer than pgbouncer's `server_idle_timeout` is by default. */
export const DEFAULT_RETIREMENT_PATIENCE = Duration.minutes(15);

function rotatedOf(props: CredentialRotationProps): Rotated {
  const { secret, administrator, database, cluster, services } = props;
  const themselves = services.flatMap((service) => (isService(service) ? service : []));
  return {
    secretArn: secret.secretFullArn ?? '',
    secretKeyArn: secret.encryptionKey?.keyArn,
    adminSecretArn: administrator && (administrator.secretFullArn ?? ''),
    adminSecretKeyArn: administrator?.encryptionKey?.keyArn,
    database: addressOf(database),
    clusterName: clusterNameOf(cluster, themselves),
    services: services.map((service) =>
      typeof service === 'string'
        ? { name: service }
        : isService(service)
          ? { name: service.serviceName, clusterName: service.cluster.clusterName }
          : service,
    ),
  };
}

/** Where a database of the CDK listens; that of RDS is proven by the authorities of RDS. */
function addressOf(database: DatabaseAddress | IDatabaseInstance | IDatabaseCluster): DatabaseAddress {
  if (!isDatabase(database)) return database;
  const endpoint = 'clusterEndpoint' in database ? database.clusterEndpoint : database.instanceEndpoint;
  return {
    // Another kind than these is refused by the check.
    engine: database.engine?.engineType as Engine,
    host: endpoint.hostname,
    port: endpoint.port,
    certificateAuthority: 'rds',
  };
}

/** Whether it is a database of the CDK, whose network is known. */
export function isDatabase(
  database: DatabaseAddress | IDatabaseInstance | IDatabaseCluster,
): database is IDatabaseInstance | IDatabaseCluster {
  return typeof database === 'object' && database !== null && 'connections' in database;
}

/** Whether it is a service of the CDK, whose cluster is known. */
export function isService(service: IBaseService | RotatedService | string): service is IBaseService {
  return typeof service === 'object' && service !== null && 'serviceName' in service;
}

/** One of the credentials. */
export interface Credential {
  /** Undefined where there is only one. */
  readonly name: string | undefined;
  /** The field that it is given by. */
  readonly path: FieldPath;
  /** As if it were the only one. */
  readonly props: CredentialRotationProps;
  readonly rotated: Rotated;
}

const DEFAULT_NAME = 'database';

/** In the order in which they are rotated. */
export function credentialsOf(props: CredentialRotationProps): Credential[] {
  const { others = {}, name = DEFAULT_NAME, ...first } = props;
  const {
    secret,
    database,
    strategy,
    administrator,
    password,
    acceptFailedLogins,
    copies,
    replicas,
    whenUnproven,
    ...shared
  } = first;
  const each = Object.entries(others).map(([name, other]) => {
    const own = { ...shared, ...other };
    return { name, path: ['others', name], props: own, rotated: rotatedOf(own) };
  });
  return [
    { name: each.length > 0 ? name : undefined, path: [], props: first, rotated: rotatedOf(first) },
    ...each,
  ];
}
