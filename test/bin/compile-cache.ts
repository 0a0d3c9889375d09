const { NODE_COMPILE_CACHE: folder } = process.env;

/** For the environment of a command line of its own: what Node has compiled in a run of all tests it need not compile again. */
export const COMPILE_CACHE: Record<string, string> = folder ? { NODE_COMPILE_CACHE: folder } : {};
