import { join } from 'node:path';
import { Container } from '../../../../rehearsal/aws/containers/container.ts';
import type { ManagedServiceOptions } from '../../../../rehearsal/aws/ecs/service.ts';

/** How a managed service starts a task: of one container, in a folder of its own, which is added to the list. */
export function startsIn(folder: string, containers: Container[]): ManagedServiceOptions['start'] {
  return async () => {
    const container = await Container.start({
      name: 'web',
      folder: join(folder, String(containers.length)),
      isolation: 'rewritten',
    });
    containers.push(container);
    return [container];
  };
}
