import { parametersBeginning, plainParameter } from './databases.ts';
import { environmentOf, type FoundService, lastPart, secretsOf } from './services.ts';
import { type FoundStack, listExports, ofType, withId } from './stack.ts';
import type { Surroundings } from './surroundings.ts';

/** What Meta's AWS template has made, where only its stacks tell. */
export interface FoundMetaTemplate {
  stackName: string;
  /** Of the parameter with the password. */
  encryptionKeyArn: string | undefined;
  /** Of the exporter of metrics, which logs in as the same user. */
  monitoring: { secretArn: string; services: { name: string; clusterName: string }[] } | undefined;
  databaseHost: string | undefined;
  fileSystemId: string | undefined;
  network: { vpcId: string | undefined; subnetIds: string[]; securityGroupIds: string[] };
}

/** Reads what Meta's template names in its resources, parameters and exports. Undefined: it is another template's stack. */
export async function findMetaTemplate(
  around: Surroundings,
  stack: FoundStack,
  services: FoundService[],
  place: { account: string; region: string; partition: string },
): Promise<FoundMetaTemplate | undefined> {
  const key = withId(stack, 'KMSKey');
  if (withId(stack, 'StorePassword') === undefined || key === undefined) return undefined;
  const { partition, region, account } = place;
  const parameters = await parametersBeginning(around, `${stack.name}-WA_DB_`);
  const password = `${stack.name}-WA_DB_PASSWORD`;
  if (parameters.length > 0 && !parameters.some(({ name }) => name === password))
    around.note(
      'to do',
      `There is no parameter ${password}, which the template's containers read: is the stack of another version of it?`,
    );
  const network = stack.parameters.NetworkStackName;
  const exported = network === undefined ? {} : await listExports(around);
  return {
    stackName: stack.name,
    encryptionKeyArn: key.startsWith('arn:') ? key : `arn:${partition}:kms:${region}:${account}:key/${key}`,
    monitoring: monitoringOf(stack, services),
    databaseHost:
      stack.outputs.DBHostname ??
      (stack.parameters.DBHostname ||
        (await plainParameter(around, `${stack.name}-WA_DB_HOSTNAME`)) ||
        undefined),
    fileSystemId: withId(stack, 'FileSystem') ?? (stack.parameters.EFSId || undefined),
    network: {
      vpcId: exported[`${network}-VPC`],
      subnetIds: [1, 2].flatMap((number) => exported[`${network}-PublicSubnet${number}`] ?? []),
      securityGroupIds: [withId(stack, 'EcsSecurityGroup')].flatMap((id) => id ?? []),
    },
  };
}

/** The second consumer of the credential: a service that takes its connection string from the monitoring stack's secret. */
function monitoringOf(stack: FoundStack, services: FoundService[]): FoundMetaTemplate['monitoring'] {
  const [secret] = ofType(stack, 'AWS::SecretsManager::Secret').filter(({ nested }) => nested !== undefined);
  if (secret === undefined) return undefined;
  const [name = ''] = secret.physicalId.split(':secret:').slice(-1);
  const nested = ofType(stack, 'AWS::ECS::Service')
    .filter((each) => each.nested === secret.nested)
    .map(({ physicalId }) => lastPart(physicalId));
  const readers = services.filter((service) =>
    (service.definition.containerDefinitions ?? []).some((container) =>
      [...Object.values(secretsOf(container)), ...Object.values(environmentOf(container))].some((value) =>
        value.includes(name),
      ),
    ),
  );
  const meant =
    readers.length > 0
      ? readers
      : services.filter((each) => nested.includes(each.name) && /monitoring|exporter/i.test(each.name));
  return {
    secretArn: secret.physicalId,
    services: meant.map((each) => ({ name: each.name, clusterName: each.cluster })),
  };
}
