import type { FunctionConfiguration } from '@aws-sdk/client-lambda';
import { type Check, type Finding, ofEach } from '../check.ts';
import type { ExaminedDeployment } from '../examined-deployment.ts';
import type { Standing } from '../network/reach.ts';
import { reachFindings } from '../network/reach-findings.ts';
import { LOOK_AT_VPC, subnetsNamed, vpcNamed } from '../network/vpc.ts';

/** Where the functions of some jobs stand. */
export interface FunctionPlace {
  jobs: string[];
  subnetIds: string[];
  groupIds: string[];
  /** Each job's settings, as JSON. */
  settings: string[];
}

/** Whether the functions in a VPC have what they need there: the subnets, the security groups, and a way to AWS. */
export const functionNetworks: Check = {
  name: 'networks of the functions',
  actions: ['lambda:GetFunctionConfiguration', ...LOOK_AT_VPC],
  run: async (deployment) =>
    ofEach(
      await functionPlaces(deployment),
      ({ jobs }) => jobs.join(', '),
      (place) => look(deployment, place),
    ),
};

async function look(deployment: ExaminedDeployment, place: FunctionPlace): Promise<Finding[]> {
  const standings = await standingsOf(deployment, place);
  if (!Array.isArray(standings)) return [standings];
  const full = standings.filter(
    ({ vpc, subnetId }) => vpc.subnets.get(subnetId)?.AvailableIpAddressCount === 0,
  );
  const services = [...new Set(place.settings.flatMap(servicesNeeded))].sort();
  return [
    ...full.map(({ subnetId }) => ({
      status: 'warning' as const,
      saw: `The subnet ${subnetId} has no free address left: Lambda cannot make a network interface there.`,
      mend: 'Another subnet in network.subnets of the configuration, then: npx cdk deploy --all',
    })),
    ...reachFindings(deployment, {
      who: 'The functions',
      standings,
      services,
      region: await deployment.region(),
    }),
  ];
}

/** The functions in a VPC, by where they stand. */
export async function functionPlaces(deployment: ExaminedDeployment): Promise<FunctionPlace[]> {
  const found = new Map<string, FunctionPlace>();
  for (const job of deployment.jobs) {
    const { VpcConfig: vpc, Environment: environment } = await deployment
      .functionOf(job)
      .catch((): FunctionConfiguration => ({}));
    const { SubnetIds: subnetIds = [], SecurityGroupIds: groupIds = [] } = vpc ?? {};
    if (subnetIds.length === 0) continue;
    const key = [...subnetIds, ...groupIds].sort().join(' ');
    const known = found.get(key) ?? { jobs: [], subnetIds, groupIds, settings: [] };
    known.jobs.push(job);
    known.settings.push(environment?.Variables?.UPKEEP_SETTINGS ?? '{}');
    found.set(key, known);
  }
  return [...found.values()];
}

/** One for each subnet; or what is wrong with the subnets and security groups themselves. */
export async function standingsOf(
  deployment: ExaminedDeployment,
  { subnetIds, groupIds }: FunctionPlace,
): Promise<Standing[] | Finding> {
  const mend = 'network of the configuration, then: npx cdk deploy --all';
  const failed = (saw: string, look: string): Finding => ({
    status: 'failed',
    saw,
    mend: `${look}   # ${mend}`,
  });
  const subnets = await subnetsNamed(deployment, subnetIds);
  const missing = subnetIds.filter((id) => !subnets.some(({ SubnetId: known }) => known === id));
  if (missing.length > 0)
    return failed(
      `There is no subnet ${missing.join(', ')} in this account and region.`,
      "aws ec2 describe-subnets --query 'Subnets[].[SubnetId,VpcId,AvailabilityZone]' --output text",
    );
  const vpcIds = [...new Set(subnets.flatMap(({ VpcId: id }) => id ?? []))];
  const [vpcId = '', other] = vpcIds;
  if (other !== undefined)
    return failed(
      `The subnets are in several VPCs, ${vpcIds.join(' and ')}: a function stands in one.`,
      "aws ec2 describe-subnets --query 'Subnets[].[SubnetId,VpcId]' --output text",
    );
  const vpc = await vpcNamed(deployment, vpcId);
  const strangers = groupIds.filter((id) => !vpc.groups.has(id));
  if (strangers.length > 0)
    return failed(
      `The VPC ${vpcId} has no security group ${strangers.join(', ')}.`,
      `aws ec2 describe-security-groups --filters Name=vpc-id,Values=${vpcId} --query 'SecurityGroups[].[GroupId,GroupName]' --output text`,
    );
  // Lambda gives a function in a VPC no public address, whatever the subnet says.
  return subnetIds.map((subnetId) => ({ vpc, subnetId, groupIds, hasPublicAddress: false }));
}

/** What a function calls from where it stands, as its settings show it: checkpoints and reports besides. */
export function servicesNeeded(settings: string): string[] {
  const shown: [service: string, pattern: RegExp][] = [
    ['backup', /"mediaVolume":/],
    ['ecs', /"clusterArn":/],
    ['monitoring', /"sets":\[\{/],
    ['secretsmanager', /:secretsmanager:/],
    ['sqs', /[qQ]ueueUrl":/],
    ['ssm', /"kind":"parameter"/],
    ['ssmmessages', /"reach":"ecs-exec"/],
  ];
  return [
    'events',
    'lambda',
    ...shown.flatMap(([service, pattern]) => (pattern.test(settings) ? service : [])),
  ];
}
