import { AwsError } from '../aws-error.ts';

export function isRecord(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  );
}

/** A blob as the text in it; the SDK's types allow a text in its place. */
export function textOf(blob: unknown): string | undefined {
  if (blob === undefined || typeof blob === 'string') return blob;
  if (blob instanceof Uint8Array) return Buffer.from(blob).toString();
  throw new AwsError('SerializationException', "a blob is not what the SDK's schema says");
}
