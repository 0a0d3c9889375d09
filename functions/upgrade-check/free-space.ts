import { CloudWatchClient, GetMetricDataCommand, type MetricDataResult } from '@aws-sdk/client-cloudwatch';
import type { Engine } from '../shared/database/contract/engine.ts';
import type { Answer } from '../shared/database/sizes/measure-set.ts';
import { toldResults } from '../shared/run/metric-results.ts';
import { namingErrors } from '../shared/run/naming-errors.ts';
import { REQUEST_LIMITS } from '../shared/run/request-limits.ts';

/** A place that a copy of a table needs room in. */
export interface Space {
  /** As people name it. */
  name: string;
  /** CloudWatch's metric, of the namespace `AWS/RDS`, in bytes. */
  metric: string;
  /** How many times the table with its indexes must fit. */
  copies: number;
  /** Undefined: CloudWatch has no number of the last hours. */
  freeBytes: number | undefined;
  /** Of when that is. ISO 8601. */
  freeAt?: string;
}

/** The latest value counts that is no older. */
const LOOK_BACK_MS = 3 * 3600 * 1000;
const PERIOD_SECONDS = 300;

const cloudWatch = namingErrors(new CloudWatchClient({ requestHandler: REQUEST_LIMITS }));

/** Asks CloudWatch for the room that a database server has. */
export async function freeSpaceOf(engine: Engine, identifier: string): Promise<Answer<Space[]>> {
  const places = placesOf(engine, identifier);
  const now = Date.now();
  try {
    const { MetricDataResults } = await cloudWatch.send(
      new GetMetricDataCommand({
        StartTime: new Date(now - LOOK_BACK_MS),
        EndTime: new Date(now),
        ScanBy: 'TimestampDescending',
        MetricDataQueries: places.map(({ metric, dimensions }, index) => ({
          Id: `m${index}`,
          MetricStat: {
            Metric: {
              Namespace: 'AWS/RDS',
              MetricName: metric,
              Dimensions: Object.entries(dimensions).map(([Name, Value]) => ({ Name, Value })),
            },
            Period: PERIOD_SECONDS,
            Stat: 'Minimum',
          },
        })),
      }),
    );
    const results = toldResults(MetricDataResults);
    return {
      kind: 'told',
      value: places.map(({ name, metric, copies }, index) => ({
        name,
        metric,
        copies,
        ...latestOf(results.find(({ Id }) => Id === `m${index}`)),
      })),
    };
  } catch (error) {
    return { kind: 'not-told', error: error instanceof Error ? error.message : String(error) };
  }
}

/** A number that is none is not known. */
function latestOf({
  Values: [value] = [],
  Timestamps: [time] = [],
}: MetricDataResult = {}): Pick<Space, 'freeBytes' | 'freeAt'> {
  if (value === undefined || !Number.isFinite(value) || value < 0) return { freeBytes: undefined };
  return { freeBytes: value, ...(time && { freeAt: time.toISOString() }) };
}

interface Place extends Omit<Space, 'freeBytes' | 'freeAt'> {
  dimensions: Record<string, string>;
}

/**
 * An upgrade changes tables by copying them. Beside the copy, which may be as large as table and indexes, the server
 * writes as much again while it makes it: MySQL and MariaDB sort the indexes' rows in temporary files ("may require
 * temporary space equal to the amount of data in the table plus indexes", MySQL's manual, Online DDL Space
 * Requirements), PostgreSQL logs each page.
 *
 * On RDS all lies on the instance's one volume (`FreeStorageSpace`). Aurora has no such metric: its copy lies on the
 * cluster's volume, which grows by itself up to a limit (Aurora MySQL tells what is left, `AuroraVolumeBytesLeftTotal`;
 * of Aurora PostgreSQL nothing tells it), and the temporary files on the disk of the writing instance
 * (`FreeLocalStorage`), which never grows (Aurora's guide: metrics, and temporary storage limits).
 */
function placesOf(engine: Engine, identifier: string): Place[] {
  const local: Place = {
    name: "the writing instance's own disk",
    metric: 'FreeLocalStorage',
    dimensions: { DBClusterIdentifier: identifier, Role: 'WRITER' },
    copies: 1,
  };
  switch (engine) {
    case 'aurora-mysql':
      return [
        {
          name: "the cluster's volume",
          metric: 'AuroraVolumeBytesLeftTotal',
          dimensions: { DBClusterIdentifier: identifier },
          copies: 1,
        },
        local,
      ];
    case 'aurora-postgresql':
      return [local];
    default:
      return [
        {
          name: "the instance's volume",
          metric: 'FreeStorageSpace',
          dimensions: { DBInstanceIdentifier: identifier },
          copies: 2,
        },
      ];
  }
}
