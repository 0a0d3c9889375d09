import type { StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { OverviewDashboard } from '../dashboards/overview-dashboard.ts';
import { MediaVolume } from '../media-volume/media-volume.ts';
import { dashboardParts } from './dashboard-parts.ts';
import { LastingIdsStack } from './lasting-ids-stack.ts';
import { overviewStackName } from './stack-names.ts';
import type { UpkeepStack } from './upkeep-stack.ts';

/** What an `OverviewStack` is made of. */
export interface OverviewStackProps extends Omit<StackProps, 'env'> {
  /** Of one account, at least one; the overview lies in the region of the first. */
  readonly stacks: readonly UpkeepStack[];
}

/** One dashboard over all deployments of an account. */
export class OverviewStack extends LastingIdsStack {
  /** Makes one for each account that has two deployments and more: the dashboard of a single one says it all. */
  static ofAccounts(scope: Construct, stacks: readonly UpkeepStack[]): OverviewStack[] {
    const accounts = [...new Set(stacks.map(({ account }) => account))];
    return accounts.flatMap((account) => {
      const its = stacks.filter((stack) => stack.account === account);
      return its.length > 1 ? [new OverviewStack(scope, overviewStackName(account), { stacks: its })] : [];
    });
  }

  constructor(scope: Construct, id: string, { stacks, ...props }: OverviewStackProps) {
    const [first] = stacks;
    super(scope, id, {
      description: 'A dashboard over the upkeep of several WhatsApp Business API clients',
      ...props,
      ...(first && { env: { account: first.account, region: first.region } }),
    });
    new OverviewDashboard(this, 'Overview', {
      deployments: stacks.map((stack) => ({
        upkeep: stack.upkeep,
        // Of a volume that is made in another region the id is not known here.
        parts: dashboardParts(stack).filter(
          (part) => stack.region === this.region || !(part instanceof MediaVolume),
        ),
      })),
    });
  }
}
