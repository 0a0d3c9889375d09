import { Socket } from 'node:net';

/**
 * A socket that connects from an address of the loopback interface, as a container of a task does from its own: the
 * database then shows by that who has logged in. Only Linux has more than one; elsewhere everybody comes from the same.
 */
export function socketFrom(address: string | undefined): Socket {
  const socket = new Socket();
  const connect = socket.connect.bind(socket);
  const fromAddress = (port: number, host: string) =>
    connect(address === undefined ? { port, host } : { port, host: '127.0.0.1', localAddress: address });
  return Object.assign(socket, { connect: fromAddress });
}

let taken = 0;

/** An address that nobody else has; `undefined` where the system has no more than one. */
export function ownAddress(): string | undefined {
  if (process.platform !== 'linux') return undefined;
  taken += 1;
  return `127.${10 + (taken >> 16)}.${(taken >> 8) & 255}.${taken & 255}`;
}
