/**
 * In place of `node:util`, as it is: an import of that has Node load also what it loads only when it is read (worker threads, the parser
 * of arguments, the comparison of texts). What is left out here is that.
 */
const util = process.getBuiltinModule('node:util');
export default util;
export const {
  callbackify,
  debug,
  debuglog,
  deprecate,
  format,
  formatWithOptions,
  getCallSites,
  getSystemErrorMap,
  getSystemErrorMessage,
  getSystemErrorName,
  inherits,
  inspect,
  isDeepStrictEqual,
  parseEnv,
  promisify,
  stripVTControlCharacters,
  styleText,
  TextDecoder,
  TextEncoder,
  toUSVString,
  types,
} = util;
