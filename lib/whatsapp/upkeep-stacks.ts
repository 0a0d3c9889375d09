import type { App } from 'aws-cdk-lib';
import type { Deployment } from './configuration/checks.ts';
import { MediaVolumeStack } from './media-volume-stack.ts';
import { OverviewStack } from './overview-stack.ts';
import { mediaStackName, stackName } from './stack-names.ts';
import { UpkeepStack } from './upkeep-stack.ts';

/**
 * Makes all stacks of a configuration: `upkeep-NAME` of each deployment, `upkeep-NAME-media` of one whose media volume is created,
 * `upkeep-overview-ACCOUNT` of an account with several deployments that have dashboards.
 * @param deployments as `loadConfiguration` gives them
 * @returns those of the deployments, in their order
 * @throws PropsError where the constructs find what no field alone can say
 */
export function makeUpkeepStacks(app: App, deployments: readonly Deployment[]): UpkeepStack[] {
  const stacks = deployments.map((deployment) => {
    const media = MediaVolumeStack.ofDeployment(app, mediaStackName(deployment.name), deployment);
    return new UpkeepStack(app, stackName(deployment.name), { deployment, mediaVolume: media?.volume });
  });
  OverviewStack.ofAccounts(
    app,
    stacks.filter((_, index) => deployments[index]?.dashboards),
  );
  return stacks;
}
