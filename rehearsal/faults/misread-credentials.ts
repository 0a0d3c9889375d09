import type { Login } from '../../functions/shared/database/contract/engine.ts';
import type { ClientRole } from '../whatsapp/client-files.ts';
import type { PlayedDeployment } from '../world.ts';
import type { Fault } from './fault.ts';

/** What a container that starts takes for the credential that it is given. `old`: the one before it. */
type Misread = (given: Login, old: Login) => Login;

const WAYS: Record<string, { what: string; misread: Misread }> = {
  'password-misread': {
    what: 'take the new password with a blank at its end, and run on without a login',
    misread: ({ username, password }) => ({ username, password: `${password} ` }),
  },
  'user-misread': {
    what: 'log in as a user that there is not',
    misread: ({ password }) => ({ username: 'nobody', password }),
  },
  'old-credential-read': {
    what: 'go on with the old credential, from a place that is not configured',
    misread: (_, old) => old,
  },
};

/** Which containers do. The roll comes to WebApps first, then to Masters. */
const WHOSE: {
  suffix: string;
  who: string;
  role: 'webapp' | 'master';
  applies(role: ClientRole): boolean;
}[] = [
  { suffix: '', who: 'All containers that start', role: 'webapp', applies: () => true },
  {
    suffix: '-by-masters',
    who: 'Masters that start, and no others,',
    role: 'master',
    applies: (role) => role === 'master',
  },
];

interface Place extends Pick<Fault, 'deployment' | 'engine' | 'ownAddresses'> {
  suffix: string;
  where: string;
  /** Of users by turns each server shows whose they are; with two passwords of one user only where it tells which was used. */
  showsOld: boolean;
  services: { webapp: string; master: string };
}

const META_SERVICES = {
  webapp: 'whatsapp-apac-WAEntWebService',
  master: 'whatsapp-apac-WAEntMasterService',
};
const PLACES: Place[] = [
  {
    suffix: '',
    where: 'PostgreSQL, two users by turns',
    deployment: 'emea',
    showsOld: true,
    services: { webapp: 'webapp', master: 'master' },
  },
  {
    suffix: '-on-mysql',
    where: 'MySQL, one user with two passwords',
    deployment: 'apac',
    ownAddresses: true,
    showsOld: true,
    services: META_SERVICES,
  },
  {
    suffix: '-on-mariadb',
    where: 'MariaDB, one user with two passwords',
    deployment: 'apac',
    engine: 'mariadb',
    ownAddresses: true,
    showsOld: false,
    services: META_SERVICES,
  },
];

/**
 * A wrong credential in each way, for all containers or one service, on each engine. Whoever lost a working password would
 * have a login that fails. Not the old credential on MariaDB: with two passwords of one user nothing there tells which was used.
 */
export const MISREAD_CREDENTIALS_FAULTS: Record<string, Fault> = Object.fromEntries(
  Object.entries(WAYS).flatMap(([way, { what, misread }]) =>
    WHOSE.flatMap((whose) =>
      PLACES.filter(({ showsOld }) => showsOld || way !== 'old-credential-read').map((place) => [
        `${way}${whose.suffix}${place.suffix}`,
        faultOf(place, whose, what, misread),
      ]),
    ),
  ),
);

function faultOf(
  { deployment, engine, ownAddresses, services, where }: Place,
  { who, role, applies }: (typeof WHOSE)[number],
  what: string,
  misread: Misread,
): Fault {
  return {
    description: `${who} ${what} (${where})`,
    deployment,
    ...(engine && { engine }),
    ...(ownAddresses && { ownAddresses }),
    containers: true,
    rotation: true,
    strike: ({ credential }) => takeInPlace(credential, applies, misread),
    expected: {
      outcomes: { 'credential-rotation': ['failed'] },
      alarms: [`${deployment}-credential-rotation-stopped-${services[role]}`],
      bothPasswords: true,
    },
  };
}

function takeInPlace(
  credential: PlayedDeployment['credential'],
  applies: (role: ClientRole) => boolean,
  misread: Misread,
): void {
  if (!credential) return;
  credential.misread = (given, role) => {
    const old = credential.login('AWSPREVIOUS');
    return applies(role) && old ? misread(given, old) : given;
  };
}
