import type { NetworkInterface } from '@aws-sdk/client-ec2';
import * as v from 'valibot';
import { type Check, type Finding, ofEach } from '../check.ts';
import type { ExaminedDeployment } from '../examined-deployment.ts';
import type { Standing } from '../network/reach.ts';
import { permits } from '../network/security-groups.ts';
import { LOOK_AT_VPC } from '../network/vpc.ts';
import { type FunctionPlace, functionPlaces, standingsOf } from './function-networks.ts';

interface Server {
  host: string;
  port: number;
}

const address = v.object({ host: v.string(), port: v.number() });
const uses = v.object({
  webApp: v.optional(v.object({ url: v.string() })),
  sets: v.optional(v.array(v.object({ database: address })), []),
  database: v.optional(address),
});

/** Whether security groups let the functions out to WebApp and the databases, and these let them in. */
export const servers: Check = {
  name: 'security groups before servers',
  actions: ['lambda:GetFunctionConfiguration', ...LOOK_AT_VPC, 'ec2:DescribeNetworkInterfaces'],
  async run(deployment) {
    const found = await Promise.all(
      (await functionPlaces(deployment)).map(async (place) => {
        const standings = await standingsOf(deployment, place);
        // What is wrong with those is told by the check of the networks.
        if (!Array.isArray(standings)) return [];
        return ofEach(
          serversOf(place),
          ({ host, port }) => `${host}:${port}`,
          (server) => look(deployment, server, standings),
        );
      }),
    );
    return found.flat();
  },
};

function serversOf({ settings }: FunctionPlace): Server[] {
  const all = settings.flatMap((text) => {
    const parsed = v.safeParse(uses, JSON.parse(text));
    if (!parsed.success) return [];
    const { webApp, sets, database } = parsed.output;
    const url = webApp && new URL(webApp.url);
    return [
      ...(url ? [{ host: url.hostname, port: Number(url.port || 443) }] : []),
      ...sets.map((set) => set.database),
      ...(database ? [database] : []),
    ];
  });
  return [...new Map(all.map((server) => [`${server.host}:${server.port}`, server])).values()];
}

async function look(
  deployment: ExaminedDeployment,
  { host, port }: Server,
  standings: Standing[],
): Promise<Finding> {
  const [{ vpc, groupIds } = { vpc: undefined, groupIds: [] }] = standings;
  if (vpc === undefined) return { status: 'ok', saw: 'Nothing stands in a VPC.' };
  const own = groupIds.flatMap((id) => vpc.groups.get(id) ?? []);
  const addresses = await deployment.clients.addressesOf(host);
  const interfaces = await interfacesOf(deployment, vpc.id, addresses);
  const theirs = [
    ...new Set(interfaces.flatMap(({ Groups: all = [] }) => all.flatMap(({ GroupId: id }) => id ?? []))),
  ];
  const cidrs = addresses.length > 0 ? addresses.map((each) => `${each}/32`) : ['0.0.0.0/0'];
  const isLetOut = own.some(
    ({ IpPermissionsEgress: rules }) =>
      permits(rules, port, { groupIds: theirs, cidrs }) ||
      // Whose address is not known may be in any of the groups that are let through.
      (theirs.length === 0 && rules?.some(({ UserIdGroupPairs: pairs = [] }) => pairs.length > 0)),
  );
  if (!isLetOut)
    return {
      status: 'failed',
      saw: `No rule of the functions' security groups (${groupIds.join(', ')}) lets them out to it at port ${port}.`,
      mend: `aws ec2 authorize-security-group-egress --group-id ${groupIds[0]} --ip-permissions 'IpProtocol=tcp,FromPort=${port},ToPort=${port},${theirs.length > 0 ? `UserIdGroupPairs=[{GroupId=${theirs[0]}}]` : 'IpRanges=[{CidrIp=ITS_ADDRESSES}]'}'`,
    };
  if (theirs.length === 0)
    return {
      status: 'ok',
      saw: `The functions are let out to it. Who has its name in the VPC is not known on this machine: its own security groups were not looked at.`,
    };
  const into = theirs.flatMap((id) => vpc.groups.get(id) ?? []);
  const callers = {
    groupIds,
    cidrs: standings.flatMap(({ subnetId }) => vpc.subnets.get(subnetId)?.CidrBlock ?? []),
  };
  if (
    into.length === theirs.length &&
    !into.some(({ IpPermissions: rules }) => permits(rules, port, callers))
  )
    return {
      status: 'failed',
      saw: `Its security group ${theirs.join(', ')} does not let the functions (${groupIds.join(', ')}) in at port ${port}.`,
      mend: `aws ec2 authorize-security-group-ingress --group-id ${theirs[0]} --protocol tcp --port ${port} --source-group ${groupIds[0]}`,
    };
  return { status: 'ok', saw: `The functions are let out to it, and in by ${theirs.join(', ')}.` };
}

/** A server that is in another VPC, or none of AWS's, has none here. */
async function interfacesOf(
  deployment: ExaminedDeployment,
  vpcId: string,
  addresses: readonly string[],
): Promise<NetworkInterface[]> {
  if (addresses.length === 0) return [];
  const { DescribeNetworkInterfacesCommand } = await import('@aws-sdk/client-ec2');
  const { NetworkInterfaces: found = [] } = await (await deployment.clients.ec2()).send(
    new DescribeNetworkInterfacesCommand({
      Filters: [
        { Name: 'vpc-id', Values: [vpcId] },
        { Name: 'addresses.private-ip-address', Values: [...addresses] },
      ],
    }),
  );
  return found;
}
