/** The node's name where the client is a single instance, which names none. */
export const SINGLE_INSTANCE = 'single instance';
