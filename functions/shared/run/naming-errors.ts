/** What a middleware of an SDK client is called with. */
type Handler = (args: unknown) => Promise<unknown>;
interface Stack {
  add(
    middleware: (next: Handler, context: { clientName?: string; commandName?: string }) => Handler,
    options: { step: 'initialize'; name: string },
  ): void;
}

const THROTTLED = /Throttl|TooManyRequests|RequestLimitExceeded|SlowDown|Rate ?exceeded|OverLimit/i;

/**
 * Has an SDK client say which call of which service was throttled: AWS's own text is "Rate exceeded" for all of them, and by
 * the name of the error alone nobody knows which quota it was.
 */
export function namingErrors<Client extends { middlewareStack: object }>(client: Client): Client {
  (client.middlewareStack as Stack).add(
    (next, { clientName = 'AWS', commandName = 'a call' }) =>
      async (args) => {
        try {
          return await next(args);
        } catch (error) {
          if (!(error instanceof Error)) throw error;
          const service = clientName.replace(/Client$/, '');
          const call = commandName.replace(/Command$/, '');
          if (THROTTLED.test(`${error.name} ${error.message}`))
            error.message = `${service} throttled ${call}, each time that it was tried (${error.name}: ${error.message})`;
          throw error;
        }
      },
    { step: 'initialize', name: 'namingErrors' },
  );
  return client;
}
