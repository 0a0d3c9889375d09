import { NAME, STRING, splitAtCommas } from './grants.ts';

/** How an account is held, as `SHOW CREATE USER` tells it. */
export interface AccountOptions {
  /** How it logs in. Absent: by MariaDB's own. */
  plugin: string | undefined;
  /** Behind `REQUIRE`: what its connections must have. */
  required: string;
  /** `MAX_…`: how much it may use. */
  limits: string;
  /** Expiry and history of passwords, locks after failed logins. */
  passwordTerms: string;
  /** `ATTRIBUTE '…'`, by which no session differs. */
  attribute: string;
  /** On MySQL; MariaDB tells them among the grants. */
  defaultRoles: string[];
}

/** The hash of the own account is not shown. */
const METHOD = `(?:${STRING}|${NAME}|\\w+)(?: (?:AS|USING) (?:0x[0-9A-Fa-f]+|<secret>|${STRING}))?`;
const IDENTIFIED = `(?: IDENTIFIED (?:BY PASSWORD ${STRING}|(?:WITH|VIA) ${METHOD}(?:(?: OR| AND IDENTIFIED WITH) ${METHOD})*))?`;
const DEFAULT_ROLE = `(?: DEFAULT ROLE ((?:${NAME}|[@,])+))?`;
const REQUIRE = `(?: REQUIRE ((?:${STRING}|[^'])+?))?`;
const LIMITS = '(?: WITH ((?: ?MAX_\\w+ [\\d.]+)+))?';
const PARTS = new RegExp(
  `^CREATE USER (?:${NAME}|${STRING})@(?:${NAME}|${STRING})(${IDENTIFIED})${DEFAULT_ROLE}${REQUIRE}${LIMITS}((?: (?:PASSWORD|ACCOUNT|FAILED_LOGIN_ATTEMPTS) .*?)?)((?: ATTRIBUTE ${STRING})?)$`,
  's',
);

/** `undefined` if the statement has a form that is not known. */
export function optionsIn(statement: string): AccountOptions | undefined {
  const parts = PARTS.exec(statement);
  if (parts === null) return undefined;
  const [, identified = '', roles = '', required = 'NONE', limits = '', terms = '', attribute = ''] = parts;
  const [, plugin] = /IDENTIFIED (?:WITH|VIA) [`']?(\w+)/.exec(identified) ?? [];
  return {
    plugin,
    required,
    limits: limits
      .split(/ (?=MAX_)/)
      // 0 is no limit.
      .filter((limit) => /[1-9]/.test(limit))
      .join(' '),
    passwordTerms: terms.replaceAll(/ ACCOUNT (?:UN)?LOCK\b/g, '').trim(),
    attribute: attribute.trim(),
    defaultRoles: splitAtCommas(roles),
  };
}

/** What `ALTER USER` is told to give an account the terms for passwords of another one; nothing where it has them. */
export function passwordTermsToMatch(account: AccountOptions, model: AccountOptions): string {
  if (account.passwordTerms === model.passwordTerms) return '';
  const isLacking = (name: string) =>
    account.passwordTerms.includes(name) && !model.passwordTerms.includes(name);
  return [
    model.passwordTerms,
    isLacking('PASSWORD EXPIRE') && 'PASSWORD EXPIRE DEFAULT',
    isLacking('FAILED_LOGIN_ATTEMPTS') && 'FAILED_LOGIN_ATTEMPTS 0 PASSWORD_LOCK_TIME 0',
  ]
    .filter(Boolean)
    .join(' ');
}

/** What `ALTER USER` is told to give an account the terms on which another one connects; nothing where it has them. */
export function termsToMatch(account: AccountOptions, { required, limits }: AccountOptions): string {
  if (account.required === required && account.limits === limits) return '';
  return `REQUIRE ${required}${withLimits(limits, account.limits)}`;
}

/** A limit that the model does not have is taken away: 0 is none. */
function withLimits(wanted: string, had: string): string {
  const names = (limits: string): string[] => limits.match(/MAX_\w+/g) ?? [];
  const none = names(had).filter((name) => !names(wanted).includes(name));
  const all = [wanted, ...none.map((name) => `${name} 0`)].filter(Boolean).join(' ');
  return all === '' ? '' : ` WITH ${all}`;
}
