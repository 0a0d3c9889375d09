import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, describe, it } from 'node:test';
import {
  ConfigurationError,
  loadConfiguration,
} from '../../../../lib/whatsapp/configuration/configuration.ts';

const folder = mkdtempSync(join(tmpdir(), 'upkeep-configurations-'));
after(() => rmSync(folder, { recursive: true }));
const shownFolder = relative('', folder);

/** The mistakes of a file with a content; or of a folder, where there is none. */
async function mistakesOf(name: string, content?: string): Promise<string[]> {
  const file = join(folder, name);
  if (content === undefined) mkdirSync(file);
  else writeFileSync(file, content);
  try {
    await loadConfiguration(file);
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigurationError, String(error));
    assert.ok(error.message.startsWith(`${file} has `));
    return error.mistakes.map((mistake) =>
      mistake.replaceAll(shownFolder, 'FOLDER').replaceAll(folder, 'FOLDER'),
    );
  }
}

writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');

describe('a file of the configuration', () => {
  for (const { what, name = 'upkeep.config.ts', content, sentence } of [
    {
      what: 'throws a text',
      name: 'text.ts',
      content: "throw 'boom';",
      sentence: 'The file throws "boom"; it must load without that.',
    },
    {
      what: 'throws nothing',
      name: 'null.ts',
      content: 'throw null;',
      sentence: 'The file throws null; it must load without that.',
    },
    {
      what: 'throws an error of many lines',
      name: 'lines.ts',
      content: 'const a = 1;\nthrow new Error(`no\n  network.`);',
      sentence: 'FOLDER/lines.ts:2: Error: no network.',
    },
    {
      what: 'throws what throws again when it is looked at',
      name: 'proxy.ts',
      content: "throw new Proxy({}, { get() { throw new Error('no'); } });",
      sentence: 'FOLDER/proxy.ts:1: Error: no.',
    },
    {
      what: 'throws an error without a text',
      name: 'wordless.ts',
      content: 'const e = new Error();\nObject.assign(e, { message: undefined });\nthrow e;',
      sentence: 'FOLDER/wordless.ts:1: Error.',
    },
    {
      what: 'throws an error whose name, text and stack are anything',
      name: 'odd.ts',
      content:
        "const e = new Error('x');\nObject.assign(e, { name: Symbol('n'), message: 7, stack: 5 });\nthrow e;",
      sentence: 'FOLDER/odd.ts: Error.',
    },
    {
      what: 'throws an error whose text throws',
      name: 'getter.ts',
      content:
        "const e = new Error('x');\nObject.defineProperty(e, 'message', { get() { throw new Error('y'); } });\nObject.defineProperty(e, 'stack', { value: '' });\nthrow e;",
      sentence: 'FOLDER/getter.ts: Error.',
    },
    {
      what: 'throws an error whose text has a place in it',
      name: 'place.ts',
      content: '\nthrow new Error(`no\\n    at file:///etc/hosts:1`);',
      sentence: 'FOLDER/place.ts:2: Error: no at file:///etc/hosts:1.',
    },
    {
      what: 'exports what throws when it is looked at',
      name: 'trap.ts',
      content: "export default new Proxy({}, { getPrototypeOf() { throw new Error('no'); } });",
      sentence: 'The configuration cannot be read: no.',
    },
    {
      what: 'ends the process',
      name: 'exit.ts',
      content: 'export default {};\nprocess.exit(0);',
      sentence: 'FOLDER/exit.ts:2: Error: process.exit(0) is called; a configuration must load without that.',
    },
    {
      what: 'names what is not there',
      name: 'reference.ts',
      content: 'const a = 1;\nexport default { a, nothing };',
      sentence: 'FOLDER/reference.ts:2: ReferenceError: nothing is not defined.',
    },
    {
      what: 'is no TypeScript',
      name: 'syntax.ts',
      content: 'export default {\n  a: 1,\n  b: ,\n};',
      sentence: 'FOLDER/syntax.ts:3: SyntaxError: Expression expected.',
    },
    {
      what: 'has an enum',
      name: 'enum.ts',
      content: 'export default 1;\nenum Region { One }',
      sentence:
        'FOLDER/enum.ts:2: SyntaxError: TypeScript enum is not supported in strip-only mode; Node.js takes types away and does nothing else: write what is left as JavaScript, such as an object in place of an enum.',
    },
    {
      what: 'imports what is not there',
      name: 'import.ts',
      content: "import { a } from './nowhere.ts';\nexport default a;",
      sentence:
        "FOLDER/import.ts: Error: Cannot find module 'FOLDER/nowhere.ts' imported from FOLDER/import.ts.",
    },
    {
      what: 'imports a file with a mistake, by the place of that',
      name: 'other.ts',
      content: "import './syntax.ts';\nexport default 1;",
      sentence: 'FOLDER/syntax.ts:3: SyntaxError: Expression expected.',
    },
    {
      what: 'is written for CommonJS',
      name: 'commonjs.ts',
      content: '\nmodule.exports = {};',
      sentence:
        'FOLDER/commonjs.ts:2: ReferenceError: module is not defined in ES module scope; the file is an ES module: write export default defineUpkeep({ … }), and import in place of require.',
    },
    {
      what: 'is JSON',
      name: 'upkeep.json',
      content: '{}',
      sentence:
        'The file\'s name ends with ".json"; it must be a TypeScript or JavaScript module (.ts, .mts, .cts, .js, .mjs, .cjs) with export default defineUpkeep({ … }).',
    },
    {
      what: 'is YAML',
      name: 'upkeep.yaml',
      content: 'deployments:',
      sentence:
        'The file\'s name ends with ".yaml"; it must be a TypeScript or JavaScript module (.ts, .mts, .cts, .js, .mjs, .cjs) with export default defineUpkeep({ … }).',
    },
    {
      what: 'is a directory',
      name: 'configuration',
      content: undefined,
      sentence: 'It is a directory; name the file in it, by -c config=FOLDER/configuration/upkeep.config.ts.',
    },
    {
      what: 'exports a promise',
      name: 'promise.ts',
      content: "export default Promise.reject(new Error('nobody waits'));",
      sentence: 'The file exports a promise; it must export what comes of it: export default await ….',
    },
    {
      what: 'exports nothing by default',
      name: 'named.ts',
      content: 'export const configuration = {};',
      sentence: 'The file must export its configuration: export default defineUpkeep({ … }).',
    },
    {
      what: 'exports a function',
      name: 'function.ts',
      content: 'export default () => ({});',
      sentence: 'The configuration is [Function: default]; it must be an object.',
    },
  ])
    it(`that ${what} is refused with one sentence`, async () => {
      assert.deepEqual(await mistakesOf(name, content), [sentence]);
    });

  for (const { what, name, content, sentence } of [
    {
      what: 'waits for ever',
      name: 'waits.ts',
      content: 'await new Promise(() => {});\nexport default {};',
      sentence: 'The file waits for what never comes (await); it must load without that.',
    },
    {
      what: 'leaves a promise alone that is rejected',
      name: 'rejected.ts',
      content: "Promise.reject(new Error('nobody waits'));\nexport default {};",
      sentence: 'FOLDER/rejected.ts:1: Error: nobody waits.',
    },
  ])
    it(`that ${what} is refused with one sentence, in a process of its own`, () => {
      const file = join(folder, name);
      writeFileSync(file, content);
      const load = new URL('../../../../lib/whatsapp/configuration/configuration.ts', import.meta.url).href;
      const { status, stderr } = spawnSync(
        process.execPath,
        [
          '--input-type=module',
          '--eval',
          `const { loadConfiguration } = await import('${load}');
          try { await loadConfiguration('${file}') } catch (error) { console.error(error.message); process.exitCode = 1 }`,
        ],
        { encoding: 'utf8' },
      );
      const told = stderr
        .slice(Math.max(0, stderr.indexOf(`${file} has `)))
        .replaceAll(shownFolder, 'FOLDER')
        .trim();
      assert.equal(told, `${file} has one mistake:\n- ${sentence}`.replaceAll(shownFolder, 'FOLDER'));
      assert.equal(status, 1);
    });

  it('that does not exist is refused by its name', async () => {
    await assert.rejects(
      loadConfiguration('no.config.ts'),
      /no\.config\.ts has one mistake:\n- The file does not exist; name the configuration by -c config=FILE/,
    );
  });
});
