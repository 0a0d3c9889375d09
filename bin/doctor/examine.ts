import PQueue from 'p-queue';
import { type Check, couldNotLook, type Finding } from './check.ts';
import { CHECKS } from './checks.ts';
import type { ExaminedDeployment } from './examined-deployment.ts';

/** A finding with what it is of, as `--json` prints it. */
export type Diagnosis = { deployment: string; check: string } & Finding;

/** Checks that look at once. */
const AT_ONCE = 6;

/** Has every check look at a deployment. A check that throws takes no other with it. */
export async function examine(
  deployment: ExaminedDeployment,
  checks: readonly Check[] = CHECKS,
): Promise<Diagnosis[]> {
  const queue = new PQueue({ concurrency: AT_ONCE });
  const otherwise = deployment.isDeployed ? 'before the deploy' : 'deployed';
  const found = await queue.addAll(
    checks
      .filter(({ when }) => when !== otherwise)
      .map((check) => async () => {
        const findings = await check.run(deployment).catch((error: unknown) => [couldNotLook(error)]);
        return findings.map((finding) => ({ deployment: deployment.name, check: check.name, ...finding }));
      }),
  );
  return found.flat();
}
