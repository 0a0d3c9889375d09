import { type FieldPath, type Finding, pathText, valueText } from './mistakes.ts';

/** What is worked in: a container of a service, with the field that names the service. */
export interface NamedContainer {
  readonly field: FieldPath;
  readonly service: unknown;
  readonly container: string | undefined;
}

/** Containers that are named twice, in whichever roles: the work would be done in them twice. */
export function sameContainers(named: readonly NamedContainer[]): Finding[] {
  return named.flatMap(({ field, service, container }, index) => {
    const first = named.findIndex((other) => other.service === service && other.container === container);
    const { field: firstField = [] } = named[first] ?? {};
    if (first === index) return [];
    const found = typeof service === 'string' ? `${valueText(service)}, as is` : 'the same as';
    return [
      {
        field,
        problem: `is ${found} ${pathText(firstField)}, with the same container; work must be done in each once.`,
      },
    ];
  });
}
