import type { FoundContainer } from './discover-containers.ts';

/** How much may be busy at once: of each role so many containers, and of each service so many tasks, whatever their roles have. */
export interface Places {
  byRole: Map<string, number>;
  byService: Map<string, number>;
}

export function placesFor(containers: FoundContainer[], concurrency: number): Places {
  return { byRole: concurrencyByRole(containers, concurrency), byService: limitsByService(containers) };
}

/** How many containers of each role are worked in at once: a share of the whole, and less than all of them. */
export function concurrencyByRole(
  containers: Pick<FoundContainer, 'role'>[],
  concurrency: number,
): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const { role } of containers) sizes.set(role, (sizes.get(role) ?? 0) + 1);
  const shares = new Map([...sizes.keys()].map((role) => [role, 1]));
  const room = (role: string) => mostAtOnce(sizes.get(role) ?? 0) - (shares.get(role) ?? 0);
  for (let left = concurrency - shares.size; left > 0; left--) {
    // To the role with the most containers for each place that it has.
    const [neediest] = [...shares.keys()]
      .filter((role) => room(role) > 0)
      .sort((a, b) => perPlace(b) - perPlace(a));
    if (neediest === undefined) break;
    shares.set(neediest, (shares.get(neediest) ?? 0) + 1);
  }
  return shares;

  function perPlace(role: string): number {
    return (sizes.get(role) ?? 0) / (shares.get(role) ?? 1);
  }
}

/** Of so many containers of a kind: half of them, rounded up, and never all, unless there is but one. */
function mostAtOnce(count: number): number {
  return Math.max(1, Math.min(Math.ceil(count / 2), count - 1));
}

/** By tasks: with one container busy in each of them, of whatever role, a service would be busy as a whole. */
function limitsByService(containers: FoundContainer[]): Map<string, number> {
  const services = Map.groupBy(containers, ({ service }) => service);
  return new Map(
    [...services].map(([service, its]) => [
      service,
      mostAtOnce(new Set(its.map(({ taskArn }) => taskArn)).size),
    ]),
  );
}

/** Of each role the same share in each part, so that all roles are worked in all the time. */
export function mixedByRole(containers: FoundContainer[]): FoundContainer[] {
  const sizes = new Map<string, number>();
  for (const { role } of containers) sizes.set(role, (sizes.get(role) ?? 0) + 1);
  const seen = new Map<string, number>();
  const places = containers.map((container) => {
    const number = seen.get(container.role) ?? 0;
    seen.set(container.role, number + 1);
    return { container, place: (number + 0.5) / (sizes.get(container.role) ?? 1) };
  });
  return places.sort((a, b) => a.place - b.place).map(({ container }) => container);
}
