import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { App, Stack } from 'aws-cdk-lib';
import { keepBundlesIn } from '../../../lib/function-bundle.ts';
import { type Clock, realClock, simulatedClock } from '../../../rehearsal/aws/clock.ts';
import type { PolicyDocument } from '../../../rehearsal/aws/policy/document.ts';
import { type Aws, type AwsOptions, startAws } from '../../../rehearsal/aws/server.ts';

export const ACCOUNT = '123456789012';
export const REGION = 'eu-central-1';
export const START = Date.parse('2027-01-10T12:00:00Z');
export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;

/** What a test works with. */
export interface Deployment {
  aws: Aws;
  clock: Clock;
  /** Options for any SDK client: this endpoint and region, and credentials that may do what is given. */
  client(allowed?: PolicyDocument['Statement']): {
    endpoint: string;
    region: string;
    credentials: { accessKeyId: string; secretAccessKey: string; sessionToken: string };
    maxAttempts: number;
  };
}

/** Of a run of many files, which bundles each function once. */
const { BUNDLES: sharedBundles } = process.env;
if (sharedBundles) keepBundlesIn(sharedBundles);

const EVERYTHING = { Effect: 'Allow', Action: '*', Resource: '*' };

/** By what defines them: stacks that many tests of a file deploy, each to a stand-in of its own. */
const assemblies = new Map<(stack: Stack) => void, string>();

function synthesize(define: (stack: Stack) => void, outdir: string): string {
  const app = new App({
    outdir,
    analyticsReporting: false,
    // Takes seconds; `npx cdk synth` of the sample does it.
    builtinCloudFormationValidation: false,
  });
  define(new Stack(app, 'test', { env: { account: ACCOUNT, region: REGION } }));
  const cdkOut = app.synth().directory;
  if (sharedBundles) shareAssets(cdkOut, join(sharedBundles, 'assets'));
  return cdkOut;
}

function synthesizeOnce(define: (stack: Stack) => void): string {
  const known = assemblies.get(define);
  if (known !== undefined) return known;
  const folder = mkdtempSync(join(tmpdir(), 'assembly-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const cdkOut = synthesize(define, join(folder, 'cdk.out'));
  assemblies.set(define, cdkOut);
  return cdkOut;
}

/** Synthesizes a stack, deploys it to a stand-in, and takes everything away after the work. */
export async function deploy(
  define: (stack: Stack) => void,
  work: (deployment: Deployment) => Promise<void>,
  options: Partial<Pick<AwsOptions, 'change' | 'sessions'>> & {
    /** Epoch milliseconds; `now` for real time. */
    start?: number | 'now';
    /** Whether the very same is deployed by other tests too, so that it is synthesized once. */
    isDeployedOften?: boolean;
  } = {},
): Promise<void> {
  const { start = START, isDeployedOften = false, ...others } = options;
  const folder = mkdtempSync(join(tmpdir(), 'rehearsal-aws-'));
  const clock = start === 'now' ? realClock() : simulatedClock(start, folder);
  let aws: Aws | undefined;
  try {
    const cdkOut = isDeployedOften ? synthesizeOnce(define) : synthesize(define, join(folder, 'cdk.out'));
    aws = await startAws({ cdkOut, clock, ...others });
    const { endpoint, credentialsFor } = aws;
    await work({
      aws,
      clock,
      client: (allowed = EVERYTHING) => ({
        endpoint,
        region: REGION,
        credentials: credentialsFor.call(aws, {
          arn: `arn:aws:iam::${ACCOUNT}:user/tester`,
          policy: { Version: '2012-10-17', Statement: allowed },
        }),
        maxAttempts: 1,
      }),
    });
  } finally {
    await aws?.close();
    clock.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** One deployment for all tests of a file: there from before the first of them until after the last. */
export function sharedDeployment(
  define: (stack: Stack) => void,
  options?: Parameters<typeof deploy>[2],
): () => Deployment {
  let deployment: Deployment | undefined;
  let end = () => {};
  let undeployed: Promise<void>;
  before(
    () =>
      new Promise<void>((begun, fail) => {
        undeployed = deploy(
          define,
          (made) =>
            new Promise<void>((resolve) => {
              deployment = made;
              end = resolve;
              begun();
            }),
          options,
        );
        undeployed.catch(fail);
      }),
  );
  after(() => {
    end();
    return undeployed;
  });
  return () => {
    if (!deployment) throw new Error('It is not deployed yet.');
    return deployment;
  };
}

/** Puts links to a common folder in place of the bundles: what Node has compiled it knows by its path. */
function shareAssets(cdkOut: string, folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(cdkOut)) {
    if (!name.startsWith('asset.') || lstatSync(join(cdkOut, name)).isFile()) continue;
    const shared = join(folder, name);
    try {
      renameSync(join(cdkOut, name), shared);
    } catch (error) {
      // There it is, the same by its hash.
      if (!existsSync(shared)) throw error;
      rmSync(join(cdkOut, name), { recursive: true });
    }
    symlinkSync(shared, join(cdkOut, name));
  }
}

/** Takes an action away from whoever may do it. */
export function without(action: string): NonNullable<AwsOptions['change']> {
  return (templates) => {
    const documents = Object.values(templates)
      .flatMap(({ Resources: resources }) => Object.values(resources))
      .flatMap(({ Properties: properties }) => properties?.PolicyDocument ?? []);
    for (const document of documents as { Statement: { Action: unknown }[] }[])
      document.Statement = document.Statement.filter(({ Action }) => Action !== action);
  };
}
