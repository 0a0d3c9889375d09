import type { Aws } from '../aws/server.ts';
import { type PlayedCatalogue, startCatalogue } from './catalogue.ts';
import { CLOSE_CARTS, REINDEX, SHOP_STACK } from './names.ts';
import { type PlayedReaders, startReaders } from './readers.ts';

/** The shop while it is played. */
export interface PlayedShop {
  name: 'shop';
  /** Those whose schedules fire. */
  jobs: string[];
  catalogue: PlayedCatalogue;
  /** Undefined: nothing is rotated nor watched. */
  readers: PlayedReaders | undefined;
  close(): Promise<void>;
}

export interface ShopOptions {
  /** Where the containers' files go. */
  folder: string;
  /** Into which what is secret is put. */
  secrets: string[];
  /** Whether commands alone run, without the database and the services that read something. */
  commandsOnly: boolean;
  /** Real milliseconds between two logins of a container. @default 350 */
  loginPause?: number | undefined;
}

/** Gives the shop's stack its services, and what they work with. */
export async function startShop(aws: Aws, options: ShopOptions): Promise<PlayedShop> {
  const commands = [REINDEX, CLOSE_CARTS];
  if (options.commandsOnly)
    for (const { stack, name } of aws.deployed.ofType('AWS::Scheduler::Schedule'))
      if (stack === SHOP_STACK && !commands.some((job) => name.endsWith(`-${job}`)))
        aws.scheduler.fault(name, { kind: 'disabled' });
  const readers = options.commandsOnly ? undefined : await startReaders(aws, options);
  const catalogue = await startCatalogue(aws, options);
  return {
    name: 'shop',
    jobs: [...commands, ...(readers ? ['credential-rotation', 'reload-on-change'] : [])],
    catalogue,
    readers,
    async close() {
      await readers?.close();
      await catalogue.close();
    },
  };
}
