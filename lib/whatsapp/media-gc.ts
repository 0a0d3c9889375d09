import { Duration } from 'aws-cdk-lib';
import type { Alarm, IWidget, Metric, MetricOptions } from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import * as v from 'valibot';
import type { MediaGcSettings } from '../../functions/media-gc/contract.ts';
import { checkProps, passesPropsOn } from '../checks/props.ts';
import { graph, type OnDashboard } from '../dashboards/on-dashboard.ts';
import { entryFile } from '../entry-file.ts';
import { UpkeepJob } from '../upkeep-job.ts';
import { alarmOnCertificate, type GcProps, gcFindings, gcSettings, letCollectGarbage } from './gc-job.ts';
import { GC_PROPS } from './prop-schemas.ts';

/** What a `MediaGc` is made of. */
export type MediaGcProps = GcProps;

/**
 * Media garbage collection of a WhatsApp client: deletes what was unused for over 30 days, asked for again until it
 * has no errors. Never beside message garbage collection, with which it shares the queue of callbacks.
 */
export class MediaGc extends Construct implements OnDashboard {
  /** The job underneath: its function, schedule and alarms. */
  readonly job: UpkeepJob;
  /** Rings when WebApp's certificate is about to expire. */
  readonly certificateAlarm: Alarm;

  constructor(scope: Construct, id: string, props: MediaGcProps) {
    super(scope, id);
    passesPropsOn(this);
    checkProps(this, v.looseObject(GC_PROPS), props, () => gcFindings(props));
    const { upkeep, schedule, timeLimit, network } = props;
    this.job = new UpkeepJob(this, 'Job', {
      upkeep,
      job: 'media-gc',
      description: `Media garbage collection of ${upkeep.deployment}`,
      entry: entryFile('media-gc'),
      settings: gcSettings(props) satisfies MediaGcSettings,
      schedule,
      timeLimit,
      conflictsWith: ['message-gc', 'credential-rotation'].map((job) => ({ job, optional: true })),
      network,
    });
    letCollectGarbage(this.job.function, props);
    this.certificateAlarm = alarmOnCertificate(this, this.job, props);
  }

  /** What was deleted, and how often it was asked for. */
  dashboardWidgets(): IWidget[] {
    const { deployment } = this.job.upkeep;
    const period = Duration.days(1);
    return [
      graph(`Media deleted of ${deployment}`, [this.metricItemsDeleted({ period }).attachTo(this)]),
      graph(`Media garbage collections of ${deployment}`, [this.metricCalls({ period }).attachTo(this)]),
    ];
  }

  /** Garbage collections asked for. @default the sum over five minutes */
  metricCalls(options?: MetricOptions): Metric {
    return this.job.metric('Calls', options);
  }

  /** Items that the client says it deleted. @default the sum over five minutes */
  metricItemsDeleted(options?: MetricOptions): Metric {
    return this.job.metric('ItemsDeleted', options);
  }
}
