/**
 * Loaded before a function's code in its process. Makes `Date` follow the rehearsal's clock, whose offset lies in the file
 * `REHEARSAL_CLOCK`, and leads connections to the hosts in `REHEARSAL_HOSTS` (JSON, `{"host:port": "127.0.0.1:port"}`) to
 * loopback, as the network of a VPC would: names, TLS and certificates stay as the function wants them.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { Socket } from 'node:net';

let clock: number | undefined;
let hosts: Record<string, string> = {};
readEnvironment();

/** Goes by the clock and the hosts that the environment names now. */
export function readEnvironment(): void {
  const { REHEARSAL_CLOCK, REHEARSAL_HOSTS = '{}' } = process.env;
  const previous = clock;
  if (REHEARSAL_CLOCK !== undefined) {
    clock = openSync(REHEARSAL_CLOCK, 'r');
    if (previous === undefined) followClock();
    else closeSync(previous);
  }
  hosts = JSON.parse(REHEARSAL_HOSTS);
  // Node has read it, and Lambda has no such variable.
  delete process.env.NODE_COMPILE_CACHE;
}

function followClock(): void {
  const RealDate = Date;
  const offset = new Float64Array(1);
  const bytes = new Uint8Array(offset.buffer);
  const now = () => {
    if (clock !== undefined) readSync(clock, bytes, 0, 8, 0);
    return Math.floor(RealDate.now() + (offset[0] ?? 0));
  };
  const SimulatedDate = new Proxy(RealDate, {
    construct: (target, parameters, newTarget) =>
      Reflect.construct(target, parameters.length === 0 ? [now()] : parameters, newTarget),
    apply: () => new RealDate(now()).toString(),
    get: (target, key, receiver) => (key === 'now' ? now : Reflect.get(target, key, receiver)),
  });
  Object.defineProperty(RealDate.prototype, 'constructor', { value: SimulatedDate });
  globalThis.Date = SimulatedDate;
}

{
  const { connect } = Socket.prototype;
  function mapped(this: Socket, ...parameters: unknown[]): Socket {
    // node:net itself passes an array of [options, callback]; others pass options, or port and host.
    const [first, ...rest] = parameters;
    if (Array.isArray(first)) {
      const [options, ...others] = first;
      return Reflect.apply(connect, this, [
        Object.assign([lead(options), ...others], symbolsOf(first)),
        ...rest,
      ]);
    }
    if (typeof first === 'object') return Reflect.apply(connect, this, [lead(first), ...rest]);
    const [host, ...others] = rest;
    const target = typeof host === 'string' ? hosts[`${host}:${first}`] : undefined;
    if (target === undefined) return Reflect.apply(connect, this, parameters);
    const { hostname, port } = new URL(`tcp://${target}`);
    return Reflect.apply(connect, this, [Number(port), hostname, ...others]);
  }
  const lead = (options: unknown): unknown => {
    if (typeof options !== 'object' || options === null || !('port' in options) || !('host' in options)) {
      return options;
    }
    const target = hosts[`${options.host}:${options.port}`];
    if (target === undefined) return options;
    const { hostname, port } = new URL(`tcp://${target}`);
    return { ...options, host: hostname, port: Number(port) };
  };
  Object.defineProperty(Socket.prototype, 'connect', { value: mapped, configurable: true, writable: true });
}

/** node:net marks its array of normalized parameters with a symbol of its own. */
function symbolsOf(array: unknown[]): Record<symbol, unknown> {
  return Object.fromEntries(Object.getOwnPropertySymbols(array).map((key) => [key, Reflect.get(array, key)]));
}
const http = process.getBuiltinModule('node:http');
for (const name of ['WebSocket', 'CloseEvent', 'MessageEvent']) Reflect.deleteProperty(http, name);
