import {
  DescribeMountTargetSecurityGroupsCommand,
  paginateDescribeFileSystems,
  paginateDescribeMountTargets,
} from '@aws-sdk/client-efs';
import type { ClientContainer } from './client-containers.ts';
import { allOf, type Surroundings } from './surroundings.ts';

/** The file system on which the client keeps its media. */
export interface FoundMedia {
  fileSystemId: string;
  securityGroupId: string | undefined;
  accessPointId: string | undefined;
  /** Undefined: the usual one, or none of its own. */
  directory: string | undefined;
  throughput: 'elastic' | 'bursting' | 'provisioned' | undefined;
}

/** Where the client has its media, in a container. */
const MEDIA = '/usr/local/wamedia';

/**
 * The file system that a container has at the place of media, or else one that is named.
 * @param named of a client whose hosts mount it, so that no task definition tells.
 */
export async function findMedia(
  around: Surroundings,
  containers: ClientContainer[],
  named: string | undefined,
): Promise<FoundMedia | undefined> {
  const mounted = containers.flatMap(({ container, of }) => {
    const at = container.mountPoints?.find(({ containerPath: path = '' }) => path.startsWith(MEDIA));
    const volume = of.definition.volumes?.find(({ name }) => name === at?.sourceVolume);
    return volume?.efsVolumeConfiguration ?? [];
  });
  const [first] = mounted;
  const id = first?.fileSystemId ?? named;
  if (id === undefined) return undefined;
  const several = [...new Set(mounted.flatMap(({ fileSystemId }) => fileSystemId ?? []))];
  if (several.length > 1)
    around.note('taken', `Media lie on ${several.join(' and ')}: the first one is taken for the volume.`);
  const { accessPointId } = first?.authorizationConfig ?? {};
  // An access point has a directory of its own, and the root is none.
  const root = accessPointId === undefined ? first?.rootDirectory?.replace(/\/+$/, '') : undefined;
  const known = { fileSystemId: id, accessPointId, directory: root || undefined };
  return around.look<FoundMedia>(
    `the file system ${id}`,
    { ...known, securityGroupId: undefined, throughput: undefined },
    async () => {
      const client = { client: around.efs };
      const [fileSystem] = await allOf(
        paginateDescribeFileSystems(client, { FileSystemId: id }),
        (page) => page.FileSystems,
      );
      const targets = await allOf(
        paginateDescribeMountTargets(client, { FileSystemId: id }),
        (page) => page.MountTargets,
      );
      const [target] = targets;
      const { SecurityGroups: groups = [] } =
        target === undefined
          ? {}
          : await around.efs.send(
              new DescribeMountTargetSecurityGroupsCommand({ MountTargetId: target.MountTargetId }),
            );
      return { ...known, securityGroupId: groups[0], throughput: fileSystem?.ThroughputMode };
    },
  );
}
