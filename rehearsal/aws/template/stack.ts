import { isRecord } from '../wire/values.ts';
import type { AssemblyStack } from './assembly.ts';
import { Properties, UnknownTemplate } from './properties.ts';
import { hash, type Resource, type ResourceTypes, uuid } from './resource.ts';

/** A stack whose intrinsic functions are resolved as CloudFormation does. */
export class Stack {
  readonly #stack: AssemblyStack;
  readonly #types: ResourceTypes;
  readonly #endpoint: string;
  readonly #resources = new Map<string, Resource>();
  readonly #resolving = new Set<string>();
  readonly #counts = new Map<string, number>();
  readonly name: string;
  imports = new Map<string, () => unknown>();

  constructor(stack: AssemblyStack, types: ResourceTypes, endpoint: string) {
    this.#stack = stack;
    this.#types = types;
    this.#endpoint = endpoint;
    this.name = stack.name;
  }

  export(exports: Map<string, () => unknown>): void {
    for (const [name, output] of Object.entries(this.#stack.template.Outputs ?? {})) {
      if (output.Export === undefined) continue;
      const key = String(this.#value(output.Export.Name, `Outputs.${name}.Export`));
      exports.set(`${this.#stack.account}/${this.#stack.region}/${key}`, () =>
        this.#value(output.Value, `Outputs.${name}`),
      );
    }
  }

  /** What it exports, by the export's name. */
  exported(): Record<string, string> {
    return Object.fromEntries(
      Object.entries(this.#stack.template.Outputs ?? {}).flatMap(([name, { Value, Export }]) =>
        Export === undefined
          ? []
          : [
              [
                String(this.#value(Export.Name, `Outputs.${name}.Export`)),
                String(this.#value(Value, `Outputs.${name}`)),
              ],
            ],
      ),
    );
  }

  outputs(): Record<string, string> {
    return Object.fromEntries(
      Object.entries(this.#stack.template.Outputs ?? {}).flatMap(([name, { Value, Condition }]) =>
        Condition === undefined || this.#condition(Condition)
          ? [[name, String(this.#value(Value, `Outputs.${name}`))]]
          : [],
      ),
    );
  }

  resources(): Resource[] {
    const { template, name } = this.#stack;
    return Object.entries(template.Resources).flatMap(([logicalId, { Type, Condition, Properties: raw }]) => {
      if (Condition !== undefined && !this.#condition(Condition)) return [];
      const resource = this.#resource(logicalId);
      const where = `${name}/${logicalId} (${Type})`;
      const values = this.#value(raw ?? {}, where);
      resource.properties = new Properties(values, where);
      const known = this.#types[Type]?.properties;
      if (known !== undefined) resource.properties.only(...known);
      return [resource];
    });
  }

  /** The resource with its identity; its other properties are resolved later, since they may refer back to it. */
  #resource(logicalId: string): Resource {
    const made = this.#resources.get(logicalId);
    if (made !== undefined) return made;
    const { template, name: stack, account, region } = this.#stack;
    const source = template.Resources[logicalId];
    if (source === undefined) throw new UnknownTemplate(`${stack}: there is no resource ${logicalId}`);
    const where = `${stack}/${logicalId} (${source.Type})`;
    const kind = this.#types[source.Type];
    if (kind === undefined) throw new UnknownTemplate(`${where}: this resource type is not understood`);
    if (this.#resolving.has(logicalId)) throw new UnknownTemplate(`${where} refers to itself`);
    this.#resolving.add(logicalId);
    const identity: Record<string, unknown> = {};
    for (const key of [kind.name, ...(kind.identity ?? [])]) {
      if (key === undefined || source.Properties?.[key] === undefined) continue;
      identity[key] = this.#value(source.Properties[key], `${where}.${key}`);
    }
    const properties = new Properties(identity, where);
    const name =
      (kind.name === undefined ? undefined : properties.text(kind.name, undefined)) ??
      kind.makeName?.(this.#stack, properties, (of) => this.#next(of)) ??
      physicalName(stack, logicalId);
    const arn = kind.arn(this.#stack, name, properties);
    const resource: Resource = {
      type: source.Type,
      stack,
      logicalId,
      account,
      region,
      name,
      physicalId: name,
      hasFixedName: kind.name !== undefined && properties.has(kind.name),
      // The other policies, Delete and RetainExceptOnCreate, have a rollback of the first deploy take it away.
      isRetained: ['Retain', 'Snapshot'].includes(source.DeletionPolicy ?? 'Delete'),
      arn,
      properties,
    };
    resource.physicalId = kind.ref?.(resource, this.#endpoint) ?? name;
    this.#resources.set(logicalId, resource);
    this.#resolving.delete(logicalId);
    return resource;
  }

  #next(key: string): number {
    const number = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, number);
    return number;
  }

  #value(value: unknown, where: string): unknown {
    if (Array.isArray(value)) {
      return value
        .map((item, index) => this.#value(item, `${where}[${index}]`))
        .filter((item) => item !== undefined);
    }
    if (typeof value === 'string' && value.includes('{{resolve:')) {
      throw new UnknownTemplate(`${where}: dynamic references are not understood`);
    }
    if (!isRecord(value)) return value;
    const keys = Object.keys(value);
    const [key] = keys;
    if (keys.length === 1 && key !== undefined && (key === 'Ref' || key.startsWith('Fn::'))) {
      return this.#intrinsic(key, value[key], where);
    }
    return Object.fromEntries(
      Object.entries(value)
        .map(([name, item]) => [name, this.#value(item, `${where}.${name}`)] as const)
        .filter(([, item]) => item !== undefined),
    );
  }

  #intrinsic(name: string, value: unknown, where: string): unknown {
    switch (name) {
      case 'Ref':
        return this.#ref(String(value), where);
      case 'Fn::GetAtt': {
        const [logicalId, ...attribute] = Array.isArray(value) ? value : String(value).split('.');
        return this.#attribute(String(logicalId), attribute.join('.'), where);
      }
      case 'Fn::Join': {
        const [separator, items] = this.#list(value, where, 2);
        return this.#list(items, where).map(String).join(String(separator));
      }
      case 'Fn::Select': {
        const [index, items] = this.#list(value, where, 2);
        const item = this.#list(items, where)[Number(index)];
        if (item === undefined) throw new UnknownTemplate(`${where}: Fn::Select finds nothing at ${index}`);
        return item;
      }
      case 'Fn::Split': {
        const [separator, text] = this.#list(value, where, 2);
        return String(text).split(String(separator));
      }
      case 'Fn::Sub':
        return this.#substitute(value, where);
      case 'Fn::Base64':
        return Buffer.from(String(this.#value(value, where))).toString('base64');
      case 'Fn::If': {
        if (!Array.isArray(value) || value.length !== 3) break;
        return this.#value(this.#condition(String(value[0])) ? value[1] : value[2], where);
      }
      case 'Fn::FindInMap': {
        const [map, first, second] = this.#list(value, where, 3).map(String);
        const found = this.#stack.template.Mappings?.[map ?? '']?.[first ?? '']?.[second ?? ''];
        if (found === undefined) throw new UnknownTemplate(`${where}: Fn::FindInMap finds nothing`);
        return found;
      }
      case 'Fn::ImportValue': {
        const key = String(this.#value(value, where));
        const exported = this.imports.get(`${this.#stack.account}/${this.#stack.region}/${key}`);
        if (exported === undefined) throw new UnknownTemplate(`${where}: nothing exports ${key}`);
        return exported();
      }
    }
    throw new UnknownTemplate(`${where}: ${name} is not understood`);
  }

  #ref(name: string, where: string): unknown {
    const { account, region, name: stack, template } = this.#stack;
    switch (name) {
      case 'AWS::AccountId':
        return account;
      case 'AWS::Region':
        return region;
      case 'AWS::Partition':
        return 'aws';
      case 'AWS::URLSuffix':
        return 'amazonaws.com';
      case 'AWS::StackName':
        return stack;
      case 'AWS::StackId':
        return `arn:aws:cloudformation:${region}:${account}:stack/${stack}/${uuid(stack)}`;
      case 'AWS::NoValue':
        return undefined;
    }
    const parameter = template.Parameters?.[name];
    if (parameter !== undefined) {
      if (parameter.Default === undefined) {
        throw new UnknownTemplate(`${where}: the parameter ${name} has no default`);
      }
      return parameter.Default;
    }
    return this.#resource(name).physicalId;
  }

  #attribute(logicalId: string, attribute: string, where: string): unknown {
    const resource = this.#resource(logicalId);
    const read = this.#types[resource.type]?.attributes?.[attribute];
    if (read === undefined) {
      throw new UnknownTemplate(`${where}: ${resource.type} has no attribute ${attribute} here`);
    }
    return read(resource);
  }

  #substitute(value: unknown, where: string): string {
    const [text, variables] = Array.isArray(value) ? value : [value, {}];
    return String(text).replaceAll(/\$\{([^}]+)\}/g, (_all, name: string) => {
      if (name.startsWith('!')) return `\${${name.slice(1)}}`;
      if (isRecord(variables) && name in variables) return String(this.#value(variables[name], where));
      const [logicalId = '', ...attribute] = name.split('.');
      return String(
        attribute.length > 0
          ? this.#attribute(logicalId, attribute.join('.'), where)
          : this.#ref(name, where),
      );
    });
  }

  #list(value: unknown, where: string, length?: number): unknown[] {
    const items = this.#value(value, where);
    if (!Array.isArray(items) || (length !== undefined && items.length !== length)) {
      throw new UnknownTemplate(`${where}: an intrinsic function has the wrong parameters`);
    }
    return items;
  }

  #condition(name: string): boolean {
    const condition = this.#stack.template.Conditions?.[name];
    if (condition === undefined) throw new UnknownTemplate(`${this.#stack.name}: no condition ${name}`);
    return this.#holds(condition, `Conditions.${name}`);
  }

  #holds(condition: unknown, where: string): boolean {
    if (isRecord(condition)) {
      const [[name, value] = ['', undefined]] = Object.entries(condition);
      if (name === 'Condition') return this.#condition(String(value));
      if (name === 'Fn::Equals') {
        const [left, right] = this.#list(value, where, 2);
        return String(left) === String(right);
      }
      if (Array.isArray(value)) {
        if (name === 'Fn::And') return value.every((item) => this.#holds(item, where));
        if (name === 'Fn::Or') return value.some((item) => this.#holds(item, where));
        if (name === 'Fn::Not') return !this.#holds(value[0], where);
      }
    }
    throw new UnknownTemplate(`${this.#stack.name}/${where} is not understood`);
  }
}

/** CloudFormation's way to make a name. Lambda's limit of 64 characters is the shortest of those used. */
function physicalName(stack: string, logicalId: string): string {
  const suffix = hash(`${stack}/${logicalId}`, 12).toUpperCase();
  return `${`${stack}-${logicalId}`.slice(0, 51)}-${suffix}`;
}
