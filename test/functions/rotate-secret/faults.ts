import { AsyncLocalStorage } from 'node:async_hooks';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { Connection } from 'mysql2/promise';
import pg from 'pg';

/**
 * What happens at a point: the call does not reach its server; it is done, but its answer does not come back; it is
 * done, and then this process is killed.
 */
export type Fault = 'refused' | 'lost' | 'killed';

/** One rotation under watch. A point is a call of an AWS service, or a statement to the database. */
interface Watch {
  points: string[];
  fault: { at: number; kind: Fault } | undefined;
}

const watches = new AsyncLocalStorage<Watch>();

/** Does the work; with a fault, that happens at the point of that number. */
export async function watched(
  fault: Watch['fault'],
  work: () => Promise<unknown>,
): Promise<{ points: string[]; error: unknown }> {
  const watch: Watch = { points: [], fault };
  try {
    await watches.run(watch, work);
    return { points: watch.points, error: undefined };
  } catch (error) {
    return { points: watch.points, error };
  }
}

type Call = (...words: unknown[]) => Promise<unknown>;

/** Replaces a method, which answers with a promise, for those that are watched. */
function watch(prototype: object, method: string, nameOf: (first: unknown) => string): void {
  const original: Call = Reflect.get(prototype, method);
  const watching: Call = async function (this: unknown, ...words) {
    const watch = watches.getStore();
    if (watch === undefined) return Reflect.apply(original, this, words);
    const number = watch.points.push(nameOf(words[0])) - 1;
    const fault = watch.fault?.at === number ? watch.fault.kind : undefined;
    if (fault === 'refused') throw faultError();
    const answer = Reflect.apply(original, this, words);
    if (fault === undefined) return answer;
    // A refusal is an answer too.
    await answer.catch(() => {});
    if (fault === 'killed') process.kill(process.pid, 'SIGKILL');
    throw faultError();
  };
  Reflect.set(prototype, method, watching);
}

/** As of a connection that was cut. */
function faultError(): Error {
  return Object.assign(new Error('the test cut the connection'), { code: 'ECONNRESET' });
}

const commandName = (command: unknown) =>
  typeof command === 'object' && command !== null ? command.constructor.name.replace(/Command$/, '') : '';
const verb = (statement: unknown) => String(statement).trim().split(/\s+/).slice(0, 2).join(' ');

watch(SecretsManagerClient.prototype, 'send', commandName);
watch(LambdaClient.prototype, 'send', commandName);
watch(Connection.prototype, 'query', verb);
watch(pg.Client.prototype, 'query', verb);
