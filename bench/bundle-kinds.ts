/** The bundles that are deployed, by the function and what it is deployed for. */
import { reachesToLeaveOut } from '../functions/shared/containers/reach-of.ts';
import type { Engine } from '../functions/shared/database/contract/engine.ts';
import { importsToLeaveOut } from '../functions/shared/database/registry.ts';
import type { BundlePurpose } from '../lib/function-bundle.ts';

export interface BundleKind {
  functionName: string;
  /** Those of its databases, of which one is on RDS in {@link REGION}. @default it has none */
  engines?: Engine[];
  /** How it comes into containers. */
  reach?: 'ecs-exec' | 'run-command';
}

export const REGION = 'eu-central-1';

export const BUNDLE_KINDS: BundleKind[] = [
  { functionName: 'callback-relay' },
  { functionName: 'start-run' },
  { functionName: 'report-lost-run' },
  // The nearest to its limit: of SSM's client, of which two commands are called, its errors alone are 77.
  { functionName: 'log-cleanup', reach: 'ecs-exec' },
  { functionName: 'log-cleanup', reach: 'run-command' },
  { functionName: 'run-in-containers', reach: 'ecs-exec' },
  { functionName: 'run-in-containers', reach: 'run-command' },
  { functionName: 'run-in-new-task' },
  { functionName: 'reload-on-change' },
  { functionName: 'media-gc' },
  { functionName: 'application-settings' },
  { functionName: 'message-gc', engines: [] },
  { functionName: 'message-gc', engines: ['postgres'] },
  { functionName: 'message-gc', engines: ['mysql'] },
  { functionName: 'database-size', engines: ['postgres'] },
  { functionName: 'database-size', engines: ['aurora-mysql'] },
  { functionName: 'upgrade-check', engines: ['postgres'] },
  { functionName: 'upgrade-check', engines: ['aurora-mysql'] },
  { functionName: 'rotate-secret', engines: ['postgres'] },
  { functionName: 'rotate-secret', engines: ['aurora-mysql'] },
  { functionName: 'credential-rotation', engines: ['postgres'] },
  { functionName: 'credential-rotation', engines: ['mariadb'] },
  // The heaviest: 315 of it are mysql2, of which 145 are the names of the servers' errors.
  { functionName: 'client-credential-rotation', engines: ['postgres'] },
  { functionName: 'client-credential-rotation', engines: ['aurora-mysql'] },
];

export function purposeOf({ engines = [], reach }: BundleKind): BundlePurpose & { leaveOut: string[] } {
  return {
    leaveOut: reach ? reachesToLeaveOut(reach) : importsToLeaveOut(engines),
    rdsRegions: engines.length > 0 ? [REGION] : [],
  };
}

export function nameOf({ functionName, engines, reach }: BundleKind): string {
  if (reach) return `${functionName} by ${reach}`;
  return engines ? `${functionName} for databases of ${engines.join() || 'no engine'}` : functionName;
}

/** The most that a bundle may weigh, in KB of minified code, all its files together. */
export function limitOf({ engines = [] }: BundleKind): number {
  return engines.length > 0 ? 1200 : 700;
}
