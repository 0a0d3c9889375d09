import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';

const REPOSITORY = new URL('../../', import.meta.url).pathname;

/** Written by `npm run api-docs`; not part of the repository. */
const FOLDER = `${REPOSITORY}docs/api`;

/** Named in public types only to infer others from them, whose fields docs/configuration.md explains. */
const NOT_EXPORTED = ['Any', 'configurationSchema', 'DeploymentOutput', 'NotificationsOutput'];

/** What valibot infers from a schema has its text there; an error's `name` is that of its class. */
const UNDOCUMENTED = /(\.__type\..*|Error\.name \(Property\).*)does not have any documentation/;

// TypeDoc reads sources with the compiler's interface, which version 7 of TypeScript has not.
registerHooks({
  resolve: (specifier, context, next) =>
    next(specifier === 'typescript' ? 'typescript-6' : specifier, context),
});

/**
 * Reads everything that the package exports.
 * @returns TypeDoc's warnings, and what writes the documentation to a folder
 */
export async function readApi(): Promise<{ warnings: string[]; write(folder: string): Promise<void> }> {
  const { Application, Logger, LogLevel } = await import('typedoc');
  const { exports } = JSON.parse(readFileSync(`${REPOSITORY}package.json`, 'utf8')) as {
    exports: Record<string, string | { default?: string; import?: { default: string } }>;
  };
  const entryPoints = Object.values(exports).flatMap((entry) => {
    const file = typeof entry === 'string' ? undefined : (entry.import?.default ?? entry.default);
    return file === undefined ? [] : [file.replace('./dist/', REPOSITORY).replace(/\.c?js$/, '.ts')];
  });
  const app = await Application.bootstrap({
    name: 'wa-upkeep',
    entryPoints,
    basePath: REPOSITORY,
    tsconfig: `${REPOSITORY}tsconfig.json`,
    readme: 'none',
    githubPages: false,
    disableGit: true,
    sourceLinkTemplate: '{path}',
    // The test command has checked the types.
    skipErrorChecking: true,
    excludeExternals: true,
    excludePrivate: true,
    intentionallyNotExported: NOT_EXPORTED,
    validation: { notExported: true, invalidLink: true, notDocumented: true },
  });
  const warnings: string[] = [];
  app.logger = new (class extends Logger {
    override log(message: string, level: (typeof LogLevel)[keyof typeof LogLevel]) {
      super.log(message, level);
      if (level >= LogLevel.Warn && !UNDOCUMENTED.test(message)) warnings.push(message);
    }
  })();
  const project = await app.convert();
  if (project === undefined) throw new Error(`TypeDoc could not read the sources:\n${warnings.join('\n')}`);
  app.validate(project);
  return { warnings, write: (folder) => app.generateDocs(project, folder) };
}

if (import.meta.main) {
  const { warnings, write } = await readApi();
  for (const warning of warnings) console.error(warning);
  await write(FOLDER);
  console.log(`${FOLDER}/index.html`);
  process.exitCode = warnings.length === 0 ? 0 : 1;
}
