import { NormalizedSchema } from '@smithy/core/schema';

/** An operation as the AWS SDK client's own schemas describe it. */
export interface OperationShape {
  name: string;
  /** Of REST protocols. */
  http:
    | { method: string; pattern: RegExp; labels: string[]; query: URLSearchParams; status: number }
    | undefined;
  input: NormalizedSchema;
  output: NormalizedSchema;
}

/** A request's parts that carry input. */
export interface Request {
  method: string;
  url: URL;
  headers: Record<string, string | string[] | undefined>;
  body: Buffer;
}

export interface Response {
  status: number;
  headers: Record<string, string>;
  /** Bytes that come one after the other: for as long as they do. */
  body: string | Uint8Array | AsyncIterable<Uint8Array>;
}

/** The operations that an SDK client's module exports schemas for. */
export function operationsOf(client: object): Map<string, OperationShape> {
  const operations = new Map<string, OperationShape>();
  for (const [key, schema] of Object.entries(client)) {
    // A schema of an operation: [9, namespace, name, traits, input, output].
    if (!key.endsWith('$') || !Array.isArray(schema) || schema[0] !== 9) continue;
    const [, , name, traits, input, output] = schema;
    const http = typeof traits === 'object' ? traits.http : undefined;
    operations.set(name, {
      name,
      http: http === undefined ? undefined : route(http),
      input: NormalizedSchema.of(input),
      output: NormalizedSchema.of(output),
    });
  }
  return operations;
}

function route([method, uri, status]: [string, string, number]): OperationShape['http'] {
  const [path = '', query = ''] = uri.split('?');
  const labels: string[] = [];
  const pattern = path
    .split('/')
    .map((part) => {
      const label = /^\{(\w+)(\+?)\}$/.exec(part);
      if (label === null) return part.replaceAll('.', '\\.');
      labels.push(label[1] ?? '');
      return label[2] === '+' ? '(.+)' : '([^/]+)';
    })
    .join('/');
  return { method, pattern: new RegExp(`^${pattern}$`), labels, query: new URLSearchParams(query), status };
}
