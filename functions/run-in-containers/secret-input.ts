import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { FoundContainer } from '../shared/containers/discover-containers.ts';
import type { Order, Reach, Seen, Stay } from '../shared/containers/reach.ts';
import { readSecretValue } from '../shared/run/secret-value.ts';
import type { CommandSecret, RunInContainersSettings } from './contract.ts';
import { mask } from './mask.ts';

/** What is brought into a container for a command, and what of it nobody may read elsewhere. */
interface Input {
  text: string;
  secrets: string[];
}

/**
 * Whether the command gets something besides its words; the line of each secret variable comes first, and its standard input
 * behind.
 */
export function takesInput({ secrets, stdin }: RunInContainersSettings): boolean {
  return secrets !== undefined || stdin !== undefined;
}

/** Reads a job's secrets from Secrets Manager, once in an invocation. None of them is ever in a durable operation's result. */
export class SecretInput {
  readonly #client: SecretsManagerClient;
  readonly #settings: RunInContainersSettings;
  #reading: Promise<Input> | undefined;

  constructor(client: SecretsManagerClient, settings: RunInContainersSettings) {
    this.#client = client;
    this.#settings = settings;
  }

  /** @throws Error naming the secret, and never its value. */
  read(): Promise<Input> {
    this.#reading ??= this.#readAll();
    return this.#reading;
  }

  async #readAll(): Promise<Input> {
    const { secrets = {}, stdin = '' } = this.#settings;
    const known = new Map<string, Promise<string>>();
    const textFor = async ({ secretArn, key }: CommandSecret) => {
      const reading = known.get(secretArn) ?? this.#textOf(secretArn);
      known.set(secretArn, reading);
      return key === undefined ? await reading : fieldOf(await reading, secretArn, key);
    };
    const variables = await Promise.all(Object.values(secrets).map(textFor));
    const own = typeof stdin === 'string' ? stdin : await textFor(stdin);
    return {
      text: variables.map((value) => `${typed(value)}\n`).join('') + own,
      secrets: typeof stdin === 'string' ? variables : [...variables, own],
    };
  }

  async #textOf(secretArn: string): Promise<string> {
    const { SecretString: text } = await readSecretValue(this.#client, { SecretId: secretArn });
    if (text === undefined) throw new Error(`The secret ${secretArn} holds bytes; a command gets text only.`);
    return text;
  }
}

function fieldOf(text: string, secretArn: string, key: string): string {
  let value: unknown;
  try {
    value = Object(JSON.parse(text))[key];
  } catch {
    // Its message would quote the secret.
  }
  if (typeof value === 'string') return value;
  throw new Error(`The secret ${secretArn} is no JSON object with a text under "${key}".`);
}

/** On one line, for `printf %b` of a POSIX shell to undo. */
function typed(value: string): string {
  return [...Buffer.from(value)]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return /[A-Za-z0-9_]/.test(character) ? character : `\\0${byte.toString(8).padStart(3, '0')}`;
    })
    .join('');
}

/** A way into containers by which the command gets its input, and nobody its secrets: where it prints one, that is masked. */
export class ReachWithInput implements Reach {
  readonly #reach: Reach;
  readonly #input: SecretInput;

  constructor(reach: Reach, input: SecretInput) {
    this.#reach = reach;
    this.#input = input;
  }

  async start(container: FoundContainer, order: Order, stay: Stay): Promise<Seen> {
    const { text: stdin, secrets } = await this.#input.read();
    return masked(await this.#reach.start(container, { ...order, stdin }, stay), secrets);
  }

  async follow(container: FoundContainer, order: Order, handle: string, stay: Stay): Promise<Seen> {
    const { secrets } = await this.#input.read();
    return masked(await this.#reach.follow(container, order, handle, stay), secrets);
  }
}

function masked(seen: Seen, secrets: string[]): Seen {
  return 'output' in seen ? { ...seen, output: mask(seen.output, secrets) } : seen;
}
