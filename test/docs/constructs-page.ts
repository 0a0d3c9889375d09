import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript-6';

const REPOSITORY = new URL('../../', import.meta.url).pathname;

const HEAD = `# The constructs' properties

Made of their own documentation by \`npm run docs\`. A property without a default must be given. What a property is wrong with stops the
synthesis with a sentence that begins with the construct's path, and names the property. The WhatsApp client's own constructs are made of the
configuration, whose fields [configuration.md](configuration.md) has; they are documented by \`npm run api-docs\`, as all that is
exported.
`;

/** In the order in which a reader needs them. */
const CONSTRUCTS = [
  'Upkeep',
  'UpkeepJob',
  'ContainerCommandJob',
  'CredentialRotation',
  'ReloadOnChange',
  'MediaVolume',
  'MediaVolumeAlarms',
  'CallbackRelay',
  'UpkeepDashboard',
  'OverviewDashboard',
  'AlarmTopic',
];

type Declaration = ts.InterfaceDeclaration | ts.TypeAliasDeclaration | ts.ClassDeclaration;

interface Property {
  name: string;
  type: string;
  isOptional: boolean;
  description: string;
  fallback: string | undefined;
}

/** The declarations of the sources that are public, by name. */
function declarations(): Map<string, Declaration> {
  const found = new Map<string, Declaration>();
  const exported = readFileSync(join(REPOSITORY, 'lib/index.ts'), 'utf8');
  const files = [...exported.matchAll(/from '([^']+)'/g)].map(([, path = '']) => join('lib', path));
  const props = readdirSync(join(REPOSITORY, 'lib'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join('lib', file));
  for (const file of new Set([...files, ...props])) {
    const text = readFileSync(join(REPOSITORY, file), 'utf8');
    for (const statement of ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true).statements)
      if (
        (ts.isInterfaceDeclaration(statement) ||
          ts.isTypeAliasDeclaration(statement) ||
          ts.isClassDeclaration(statement)) &&
        statement.name
      )
        found.set(statement.name.text, statement);
  }
  return found;
}

/** The page, as it is to be. */
export function constructsPage(): string {
  const all = declarations();
  const named = new Set<string>();
  const sections = CONSTRUCTS.map((name) => {
    const declared = all.get(name);
    if (!declared) throw new Error(`There is no ${name}.`);
    const properties = propertiesOf(`${name}Props`, all);
    return [`## \`${name}\``, documentation(declared).text, tableOf(properties, all, named)].join('\n\n');
  });
  const types: string[] = [];
  // What one names may name others.
  for (const name of named) {
    const declared = all.get(name);
    if (!declared) continue;
    const { text } = documentation(declared);
    types.push(
      [
        `### \`${name}\``,
        ...(text ? [text] : []),
        ts.isTypeAliasDeclaration(declared) && !ts.isTypeLiteralNode(declared.type) && !isPart(declared.type)
          ? `${inline(wordsOf(declared.type, all, named))}${membersOf(declared.type)}`
          : tableOf(propertiesOf(name, all), all, named),
      ].join('\n\n'),
    );
  }
  return `${[HEAD.trimEnd(), ...sections, '## What they are made of', ...types].join('\n\n')}\n`;
}

function tableOf(
  properties: readonly Property[],
  all: ReadonlyMap<string, Declaration>,
  named: Set<string>,
): string {
  const rows = properties.map(({ name, type, isOptional, description, fallback }) => {
    for (const [word] of type.matchAll(/\b[A-Z]\w+/g)) if (isOwnType(word, all)) named.add(word);
    return `| \`${name}\` | ${inline(type)} | ${isOptional ? cell(fallback ?? 'none') : '**must be given**'} | ${cell(description)} |`;
  });
  return ['| Property | Type | Default | Meaning |', '|---|---|---|---|', ...rows].join('\n');
}

/** Objects only that a person writes: the constructs have sections of their own. */
function isOwnType(name: string, all: ReadonlyMap<string, Declaration>): boolean {
  const declared = all.get(name);
  return declared !== undefined && !ts.isClassDeclaration(declared);
}

function wordsOf(type: ts.TypeNode, all: ReadonlyMap<string, Declaration>, named: Set<string>): string {
  const text = textOf(type);
  for (const [word] of text.matchAll(/\b[A-Z]\w+/g)) if (isOwnType(word, all)) named.add(word);
  return text;
}

/** What is said of the members of a type that is put together of several. */
function membersOf(type: ts.TypeNode): string {
  const lines: string[] = [];
  const look = (node: ts.Node, path: string): void => {
    if (ts.isPropertySignature(node)) {
      const name = `${path}${node.name.getText()}`;
      const { text, fallback } = documentation(node);
      const said = [text, fallback && `Default: ${fallback}.`].filter(Boolean).join(' ');
      if (said) lines.push(`- \`${name}\`: ${said}`);
      if (node.type) look(node.type, `${name}.`);
      return;
    }
    ts.forEachChild(node, (child) => look(child, path));
  };
  look(type, '');
  return lines.length > 0 ? `\n\n${lines.join('\n')}` : '';
}

function propertiesOf(name: string, all: ReadonlyMap<string, Declaration>): Property[] {
  const declared = all.get(name);
  if (!declared || ts.isClassDeclaration(declared)) throw new Error(`There is no type ${name}.`);
  if (ts.isTypeAliasDeclaration(declared) && isPart(declared.type))
    return propertiesIn(declared.type.typeName.getText(), declared.type.typeArguments, all);
  const members = ts.isInterfaceDeclaration(declared)
    ? declared.members
    : ts.isTypeLiteralNode(declared.type)
      ? declared.type.members
      : [];
  const own = [...members].flatMap((member) => (ts.isPropertySignature(member) ? [propertyOf(member)] : []));
  const inherited = (ts.isInterfaceDeclaration(declared) ? (declared.heritageClauses ?? []) : []).flatMap(
    (clause) =>
      clause.types.flatMap(({ expression, typeArguments }) =>
        propertiesIn(expression.getText(), typeArguments, all),
      ),
  );
  return [...own, ...inherited.filter((each) => !own.some((property) => property.name === each.name))];
}

/** Whether it is some of the properties of another. */
function isPart(type: ts.TypeNode): type is ts.TypeReferenceNode {
  return ts.isTypeReferenceNode(type) && ['Omit', 'Pick'].includes(type.typeName.getText());
}

/** Of `Base`, `Omit<Base, 'a' | 'b'>` and `Pick<Base, 'a'>`. */
function propertiesIn(
  name: string,
  typeArguments: ts.NodeArray<ts.TypeNode> | undefined,
  all: ReadonlyMap<string, Declaration>,
): Property[] {
  const [base, names] = typeArguments ?? [];
  if (name !== 'Omit' && name !== 'Pick') return all.has(name) ? propertiesOf(name, all) : [];
  const listed = [...(names?.getText().matchAll(/'(\w+)'/g) ?? [])].map(([, each = '']) => each);
  return propertiesOf(base?.getText() ?? '', all).filter(
    (property) => listed.includes(property.name) === (name === 'Pick'),
  );
}

function propertyOf(member: ts.PropertySignature): Property {
  const { text, fallback } = documentation(member);
  return {
    name: member.name.getText(),
    type: member.type ? textOf(member.type) : '',
    isOptional: member.questionToken !== undefined,
    description: text,
    fallback,
  };
}

/** As it is written, on one line, without what documents its parts. */
function textOf(type: ts.TypeNode): string {
  return type
    .getText()
    .replaceAll(/\/\*\*[\s\S]*?\*\//g, '')
    .replaceAll(/\breadonly /g, '')
    .replaceAll(/\s+/g, ' ')
    .replace(/^\| /, '')
    .replace(/ \| undefined$/, '')
    .trim();
}

function documentation(node: ts.Node): { text: string; fallback: string | undefined } {
  const [comment] = ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc).slice(-1);
  const plain = (text: string | ts.NodeArray<ts.JSDocComment> | undefined) =>
    (ts.getTextOfJSDocComment(text) ?? '').replaceAll(/\{@link ([\w.]+)\}/g, '`$1`').trim();
  const tag = comment?.tags?.find(({ tagName }) => tagName.text === 'default');
  return { text: plain(comment?.comment), fallback: tag && plain(tag.comment) };
}

function inline(type: string): string {
  return `\`${type.replaceAll('|', '\\|')}\``;
}

function cell(text: string): string {
  return text
    .replaceAll('|', '\\|')
    .replaceAll(/\n+- /g, '<br>- ')
    .replaceAll(/\s*\n\s*/g, ' ');
}

if (import.meta.main) writeFileSync(join(REPOSITORY, 'docs/constructs.md'), constructsPage());
