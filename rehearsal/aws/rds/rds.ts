import { createRequire } from 'node:module';
import type { DescribeDBClustersCommandInput, DescribeDBInstancesCommandInput } from '@aws-sdk/client-rds';
import { AwsError } from '../aws-error.ts';
import { type Ask, type Call, type Operations, operation, type Service } from '../cloud.ts';
import { pageOf } from '../page-of.ts';
import type { Place } from '../place.ts';
import { arnOf } from '../template/resource.ts';

/** A database server that somebody made: an instance, or a cluster of Aurora. */
export interface RdsServer extends Place {
  identifier: string;
  kind: 'instance' | 'cluster';
  /** As RDS calls it, such as `aurora-mysql`. */
  engine: string;
  engineVersion: string;
  host: string;
  port: number;
  masterUsername: string;
  /** @default none */
  securityGroupIds?: string[];
}

/** On a page by default, and at most (Amazon RDS API reference). */
const PER_PAGE = 100;

/** Amazon RDS and Aurora, of which it is asked what servers there are. */
export class Rds implements Service {
  readonly signingName = 'rds';
  readonly accessDenied = 'AccessDenied';
  readonly namespace = 'http://rds.amazonaws.com/doc/2014-10-31/';
  readonly #servers: RdsServer[] = [];
  readonly operations: Operations = {
    DescribeDBClusters: operation(
      ({ DBClusterIdentifier: id = '*' }: DescribeDBClustersCommandInput, call) =>
        on('DescribeDBClusters', 'cluster', id, call),
      ({ DBClusterIdentifier: id, Marker, MaxRecords }, call) => {
        const found = this.#of('cluster', id, call);
        if (id !== undefined && found.length === 0)
          throw new AwsError('DBClusterNotFoundFault', `DBCluster ${id} not found.`);
        const { items, next } = pageOf(found, Marker, MaxRecords ?? PER_PAGE);
        return {
          Marker: next,
          DBClusters: items.map((server) => ({
            DBClusterIdentifier: server.identifier,
            DBClusterArn: serverArn(server),
            Endpoint: server.host,
            Port: server.port,
            ...common(server),
            Status: 'available',
          })),
        };
      },
    ),
    DescribeDBInstances: operation(
      ({ DBInstanceIdentifier: id = '*' }: DescribeDBInstancesCommandInput, call) =>
        on('DescribeDBInstances', 'db', id, call),
      ({ DBInstanceIdentifier: id, Marker, MaxRecords }, call) => {
        const found = this.#of('instance', id, call);
        if (id !== undefined && found.length === 0)
          throw new AwsError('DBInstanceNotFoundFault', `DBInstance ${id} not found.`);
        const { items, next } = pageOf(found, Marker, MaxRecords ?? PER_PAGE);
        return {
          Marker: next,
          DBInstances: items.map((server) => ({
            DBInstanceIdentifier: server.identifier,
            DBInstanceArn: serverArn(server),
            Endpoint: { Address: server.host, Port: server.port },
            ...common(server),
            DBInstanceStatus: 'available',
          })),
        };
      },
    ),
  };

  /** Few ask for it, and it takes its time. */
  get client(): object {
    return createRequire(import.meta.url)('@aws-sdk/client-rds') as object;
  }

  /** Makes a server, as somebody else does. */
  put(server: RdsServer): void {
    this.#servers.push(server);
  }

  #of(kind: RdsServer['kind'], id: string | undefined, { account, region }: Place): RdsServer[] {
    return this.#servers.filter(
      (server) =>
        server.kind === kind &&
        server.account === account &&
        server.region === region &&
        (id === undefined || server.identifier === id || serverArn(server) === id),
    );
  }
}

function common({ engine, engineVersion, masterUsername, securityGroupIds = [] }: RdsServer) {
  return {
    Engine: engine,
    EngineVersion: engineVersion,
    MasterUsername: masterUsername,
    VpcSecurityGroups: securityGroupIds.map((VpcSecurityGroupId) => ({
      VpcSecurityGroupId,
      Status: 'active',
    })),
  };
}

function serverArn(server: RdsServer): string {
  return arnOf('rds', server.kind === 'cluster' ? 'cluster:' : 'db:')(server, server.identifier);
}

function on(action: string, kind: string, id: string, { account, region }: Call): Ask[] {
  const resource = id.startsWith('arn:') ? id : `arn:aws:rds:${region}:${account}:${kind}:${id}`;
  return [{ action: `rds:${action}`, resource }];
}
