import type { ContainerDefinition } from '@aws-sdk/client-ecs';
import { environmentOf, type FoundService, secretsOf } from './services.ts';

/** A role of the client's containers. */
export type Role = 'webapp' | 'coreapp' | 'master';
export const ROLES: Role[] = ['webapp', 'coreapp', 'master'];

/** A container of the client, in a service's task definition. */
export interface ClientContainer {
  role: Role;
  of: FoundService;
  container: ContainerDefinition;
}

/** Meta's own registry, from which nobody else's images come. */
const REGISTRY = /^docker\.whatsapp\.biz\//;
/** Variables that the client's images read. */
const VARIABLES = /^WA_/;

/** The client's containers among all that services have: what stands beside them in their tasks is left out. */
export function clientContainers(services: FoundService[]): ClientContainer[] {
  return services.flatMap((of) =>
    (of.definition.containerDefinitions ?? []).flatMap((container) => {
      const role = roleOf(container);
      return role ? [{ role, of, container }] : [];
    }),
  );
}

/** By its image and its name, where it is the client's at all. */
function roleOf(container: ContainerDefinition): Role | undefined {
  const { image = '', name = '' } = container;
  const environment = environmentOf(container);
  const variables = [...Object.keys(environment), ...Object.keys(secretsOf(container))];
  const isClients =
    REGISTRY.test(image) ||
    /^wa[-_]/.test(name) ||
    (/whats ?-?app/i.test(image) && !/exporter|webhook/i.test(image)) ||
    variables.some((variable) => VARIABLES.test(variable));
  if (!isClients) return undefined;
  const repository = repositoryOf(image);
  const says = (word: RegExp) => word.test(repository) || (!saysRole(repository) && word.test(name));
  if (says(CORE) || MASTER.test(name))
    return environment.WA_MASTER_NODE === '1' || MASTER.test(name) ? 'master' : 'coreapp';
  return says(WEB) ? 'webapp' : undefined;
}

const CORE = /(^|[-_/])core-?app$/i;
const WEB = /(^|[-_/])web(-?app)?$/i;
const MASTER = /(^|[-_/])master(-?app)?$/i;

function saysRole(repository: string): boolean {
  return CORE.test(repository) || WEB.test(repository);
}

/** An image without its tag and digest, which may follow a registry's port. */
function repositoryOf(image: string): string {
  return image.replace(/@.*$/, '').replace(/:[^/:]*$/, '');
}
