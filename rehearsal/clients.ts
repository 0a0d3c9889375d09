import type { ClientScript, WorldOptions } from './world.ts';

const DAY = 24 * 3600 * 1000;

/** How large a night is. The tests of the faults play small ones. */
export interface Scale {
  /** Rows of `messages` in the cluster, nearly all of them garbage. The single instance has a twentieth. */
  rows: number;
  /** Inbound messages that are old enough to be marked read. 0: none come at all. */
  unread: number;
  /** Media of the cluster, each a file. A quarter is in use. @default none */
  media?: number;
  /**
   * How many containers the clients have. In a night in which something goes wrong they have some only where that is said
   * of the fault.
   * @default none, and no log clean-up
   */
  containers?: 'few' | 'several' | 'all';
  /**
   * Whether containers log in to their databases, and the passwords are rotated. Needs containers. In a night in which
   * something goes wrong they are only where that is said of the fault.
   * @default false
   */
  rotation?: boolean;
  /**
   * Real milliseconds between two logins of a container, each a TLS handshake and a check of a password.
   * @default 350
   */
  loginPause?: number;
}

export const FULL_SCALE: Scale = {
  rows: 2_500_000,
  unread: 3_000,
  media: 4_000,
  containers: 'all',
  rotation: true,
};

/** What the clients run in ECS: a single instance, a cluster of 32 shards, and one in high availability. */
const CONTAINERS = {
  latam: {
    few: { webapp: 1, coreapp: 1 },
    several: { webapp: 1, coreapp: 1 },
    all: { webapp: 1, coreapp: 1 },
  },
  emea: {
    few: { webapp: 1, coreapp: 2, master: 1 },
    several: { webapp: 1, coreapp: 15, master: 1 },
    all: { webapp: 3, coreapp: 33, master: 2 },
  },
  apac: { webapp: 2, master: 2, coreapp: 2, exporter: 1 },
} as const;

/** How many of them log in to the database all the time. */
const LOGINS = { webapp: 2, master: 2, coreapp: 2, exporter: 1 };

/** Version 3.0.3 of Meta's template in high availability; of its monitoring they are not known, and as if for one host port. */
const META_PERCENTAGES = {
  webapp: { minimumHealthyPercent: 25, maximumPercent: 100 },
  master: { minimumHealthyPercent: 50, maximumPercent: 100 },
  coreapp: { minimumHealthyPercent: 25, maximumPercent: 100 },
  exporter: { minimumHealthyPercent: 0, maximumPercent: 100 },
};

/**
 * The clients at the beginning: one single instance, one cluster of two CoreApps whose table is too large for one call,
 * and one on MySQL, where there is a server for it.
 */
export function clientsOf(
  { rows, media = 0, containers, rotation, loginPause }: Scale,
  now: number,
  mysql?: WorldOptions['mysql'],
): Record<string, ClientScript> {
  const logins = rotation && { logins: LOGINS, ...(loginPause !== undefined && { loginPause }) };
  const garbage = Math.round(rows * 0.98);
  const garbageOfOne = Math.round(rows / 20);
  const read = (all: number) => Math.round(all / 10);
  const usedMedia = Math.round(media / 4);
  const age = { oldest: now - 90 * DAY, newest: now - DAY };
  return {
    latam: {
      coreApps: 1,
      filling: { sent: garbageOfOne - read(garbageOfOne), read: read(garbageOfOne), pending: 50, ...age },
      ...(containers && { containers: CONTAINERS.latam[containers] }),
    },
    emea: {
      ...(containers && { containers: CONTAINERS.emea[containers], ...logins }),
      coreApps: 2,
      filling: {
        sent: garbage - read(garbage),
        read: read(garbage),
        pending: 50,
        unread: rows - garbage,
        unusedMedia: media - usedMedia,
        usedMedia,
        ...age,
      },
      // Two calls that end with errors, and a third that has the rest.
      rowsPerCall: Math.ceil(garbage / 2 / 2.5),
    },
    ...(mysql && {
      apac: {
        coreApps: CONTAINERS.apac.coreapp,
        percentages: META_PERCENTAGES,
        ...(containers && { containers: CONTAINERS.apac, ...logins }),
      },
    }),
  };
}
