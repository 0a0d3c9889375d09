import type { NormalizedSchema } from '@smithy/core/schema';
import { decodeStructure, fromText, refuseUnknown, serialization } from './codec.ts';
import type { OperationShape } from './shape.ts';
import { isRecord } from './values.ts';

/** Whose way of writing queries: Amazon EC2 has its own. */
export type QueryDialect = 'aws' | 'ec2';

/** The input of a query request: `A.member.1=…`, `M.entry.1.key=…`; of EC2 `A.1=…`. */
export function readQuery(
  operation: OperationShape,
  form: URLSearchParams,
  dialect: QueryDialect = 'aws',
): Record<string, unknown> {
  const tree: Tree = {};
  for (const [key, value] of form) {
    if (key === 'Action' || key === 'Version') continue;
    const parts = key.split('.');
    const last = parts.pop() ?? '';
    let node = tree;
    for (const part of parts) {
      const next = node[part];
      const child = typeof next === 'object' ? next : {};
      node[part] = child;
      node = child;
    }
    node[last] = value;
  }
  return decodeStructure(operation.input, fromTree(operation.input, tree, dialect), operation.name);
}

export function writeQuery(
  operation: OperationShape,
  output: unknown,
  namespace: string,
  requestId: string,
  dialect: QueryDialect = 'aws',
): string {
  const result = operation.output.isUnitSchema() ? '' : toXml(operation.output, output);
  if (dialect === 'ec2')
    return `<${operation.name}Response xmlns="${namespace}"><requestId>${requestId}</requestId>${result}</${operation.name}Response>`;
  return (
    `<${operation.name}Response xmlns="${namespace}"><${operation.name}Result>${result}</${operation.name}Result>` +
    `<ResponseMetadata><RequestId>${requestId}</RequestId></ResponseMetadata></${operation.name}Response>`
  );
}

/** The body of a REST answer in XML. */
export function writeXmlDocument(schema: NormalizedSchema, output: unknown, namespace: string): string {
  const { xmlName = schema.getName() ?? '' } = schema.getMergedTraits();
  return `<${xmlName} xmlns="${namespace}">${toXml(schema, output)}</${xmlName}>`;
}

interface Tree {
  [key: string]: string | Tree;
}

/** How a member of a structure is called in a request. */
function requestName(name: string, member: NormalizedSchema, dialect: QueryDialect): string {
  const { xmlName = name, ec2QueryName } = member.getMergedTraits();
  if (dialect === 'aws') return xmlName;
  return ec2QueryName === undefined
    ? `${xmlName[0]?.toUpperCase()}${xmlName.slice(1)}`
    : String(ec2QueryName);
}

function fromTree(schema: NormalizedSchema, value: string | Tree, dialect: QueryDialect): unknown {
  if (typeof value === 'string') return schema.isStringSchema() ? value : fromText(schema, value, '');
  const numbered = (node: string | Tree | undefined) =>
    typeof node === 'object'
      ? Object.entries(node)
          .sort(([left], [right]) => Number(left) - Number(right))
          .map(([, item]) => item)
      : [];
  if (schema.isListSchema()) {
    return numbered(value[itemName(schema)] ?? value).map((item) =>
      fromTree(schema.getValueSchema(), item, dialect),
    );
  }
  if (schema.isMapSchema()) {
    return Object.fromEntries(
      numbered(value.entry ?? value).map((item) => {
        if (typeof item !== 'object') throw serialization('map entry');
        return [
          item.key ?? item.Name,
          fromTree(schema.getValueSchema(), item.value ?? item.Value ?? '', dialect),
        ];
      }),
    );
  }
  const members = new Map(
    [...schema.structIterator()].map(([name, member]) => [
      requestName(name, member, dialect),
      { name, member },
    ]),
  );
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      const known = members.get(key);
      return known === undefined ? [key, item] : [known.name, fromTree(known.member, item, dialect)];
    }),
  );
}

function toXml(schema: NormalizedSchema, value: unknown): string {
  if (schema.isListSchema() && Array.isArray(value)) {
    const name = itemName(schema);
    return value.map((item) => `<${name}>${toXml(schema.getValueSchema(), item)}</${name}>`).join('');
  }
  if (schema.isMapSchema() && isRecord(value)) {
    return Object.entries(value)
      .map(
        ([key, item]) =>
          `<entry><key>${escapeXml(key)}</key><value>${toXml(schema.getValueSchema(), item)}</value></entry>`,
      )
      .join('');
  }
  if (schema.isStructSchema() && isRecord(value)) {
    refuseUnknown(value, new Set(Object.keys(schema.getMemberSchemas())), schema.getName() ?? '');
    return [...schema.structIterator()]
      .filter(([name]) => value[name] !== undefined)
      .map(([name, member]) => {
        const { xmlName = name, xmlFlattened } = member.getMergedTraits();
        if (xmlFlattened) return flattened(member, xmlName, value[name]);
        return `<${xmlName}>${toXml(member, value[name])}</${xmlName}>`;
      })
      .join('');
  }
  if (value instanceof Date) return value.toISOString();
  return escapeXml(String(value));
}

/** What stands in its structure without a list or a map around it, as in the answers of Amazon SQS. */
function flattened(schema: NormalizedSchema, name: string, value: unknown): string {
  if (Array.isArray(value))
    return value.map((item) => `<${name}>${toXml(schema.getValueSchema(), item)}</${name}>`).join('');
  const [key, item] = [schema.getKeySchema(), schema.getValueSchema()].map(
    (part) => part.getMergedTraits().xmlName,
  );
  return Object.entries(isRecord(value) ? value : {})
    .map(
      ([each, of]) =>
        `<${name}><${key}>${escapeXml(each)}</${key}><${item}>${toXml(schema.getValueSchema(), of)}</${item}></${name}>`,
    )
    .join('');
}

/** What the items of a list are called: in some services, such as RDS, after what they are. */
function itemName(list: NormalizedSchema): string {
  return list.getValueSchema().getMergedTraits().xmlName ?? 'member';
}

export function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
