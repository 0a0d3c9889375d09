/** What WebApp answers to a request: the HTTP status and the JSON body. */
export interface Answer {
  status: number;
  body: unknown;
  /** The error's code, where it is one. */
  code?: number;
}

/** `meta` of every answer. The version is the last one that Meta published a deployment template for. */
const META = { api_status: 'stable', version: 'v2.57.2' };

/**
 * WebApp's error codes in use here, with Meta's titles. Which HTTP status goes with a code is documented nowhere:
 * these are the ones that HTTP suggests, and clients should go by the code.
 */
const ERRORS = {
  1005: { title: 'Access denied', status: 401 },
  1006: { title: 'Resource not found', status: 404 },
  1008: { title: 'Required parameter is missing', status: 400 },
  1009: { title: 'Parameter value is not valid', status: 400 },
  1011: { title: 'Service not ready', status: 503 },
  1014: { title: 'Internal error', status: 500 },
  1015: { title: 'Too many requests', status: 429 },
} as const;

export type ErrorCode = keyof typeof ERRORS;

export function success(body: object): Answer {
  return { status: 200, body: { ...body, meta: META } };
}

export function failure(code: ErrorCode, details: string): Answer {
  const { title, status } = ERRORS[code];
  return { status, code, body: { meta: META, errors: [{ code, title, details }] } };
}
