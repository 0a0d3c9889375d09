import fc from 'fast-check';
import {
  arbitraryConfigurations,
  spoiledConfigurations,
} from '../lib/whatsapp/configuration/arbitrary-configurations.ts';
import { synthesizesOrSaysWhy } from '../lib/whatsapp/configuration/properties.ts';
import type { Fuzzer } from './fuzzers.ts';

/** Synthesis takes a second: one of so many configurations that are taken is synthesized. */
const SYNTHESIZED_OF = 250;

/** As the tests of the configuration play them, `test/lib/whatsapp/configuration/properties.test.ts`. */
export function configurationFuzzers(): Fuzzer[] {
  const fuzzer = (name: string, configurations: fc.Arbitrary<unknown>): Fuzzer => ({
    name,
    close: async () => {},
    property: fc.asyncProperty(configurations, fc.nat(SYNTHESIZED_OF - 1), async (configuration, number) => {
      synthesizesOrSaysWhy(configuration, { synthesize: number === 0 });
    }),
  });
  return [
    fuzzer('configurations', arbitraryConfigurations),
    fuzzer('spoiled configurations', spoiledConfigurations),
  ];
}
