/**
 * What each function's bundle weighs, all its files together, and how much of it is read before the first run: what is imported on
 * demand lies in files of its own. `test/lib/function-bundle.test.ts` holds the limits.
 *
 *     node bench/bundles.ts
 */
import { entryFile } from '../lib/entry-file.ts';
import { bundle, keepBundlesIn } from '../lib/function-bundle.ts';
import { BUNDLE_KINDS, limitOf, nameOf, purposeOf } from './bundle-kinds.ts';
import { tell } from './figures.ts';

if (process.env.BUNDLES) keepBundlesIn(process.env.BUNDLES);
for (const kind of BUNDLE_KINDS) {
  const { outputFiles } = bundle(entryFile(kind.functionName), purposeOf(kind));
  const bytes = outputFiles
    .filter(({ path }) => path.endsWith('.mjs'))
    .reduce((sum, { contents }) => sum + contents.length, 0);
  const value = Math.ceil(bytes / 1024);
  console.log(`${nameOf(kind).padEnd(60)} ${value} KB, of ${limitOf(kind)} KB`);
  tell({
    bench: 'bundles',
    what: nameOf(kind),
    rival: 'none',
    value,
    unit: 'KB',
    goal: { atMost: limitOf(kind) },
  });
}
