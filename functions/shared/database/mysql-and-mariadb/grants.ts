/** A string and a name as the server writes them: what is in them is none of its words. */
export const STRING = String.raw`'(?:[^'\\]|\\.|'')*'`;
export const NAME = '`(?:[^`]|``)*`';

/** What an account or a role has, by object, as statements name it: privileges, and `GRANT OPTION`. */
export type Rights = Map<string, Set<string>>;

/** Dynamic privileges of MySQL are passed on one by one; all others of an object together. */
const PASSED_ON = ' WITH GRANT OPTION';

/** Backticks are names in each SQL mode. */
export function quoted(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

/** Those that the lines of SHOW GRANTS give, without roles. */
export function rightsIn(lines: readonly string[]): Rights {
  const rights: Rights = new Map();
  for (const line of lines) {
    const [, privileges = '', object = '', rest = ''] = GRANT.exec(line) ?? [];
    if (object === '') continue;
    const found = rights.get(object) ?? new Set();
    const isPassedOn = /WITH .*\bGRANT OPTION\b/.test(rest.replaceAll(new RegExp(STRING, 'gs'), ''));
    let isOfObject = false;
    for (const privilege of splitAtCommas(privileges)) {
      // A privilege on columns is one on each.
      const [, name = '', columns] = /^(.*?) ?\((.*)\)$/s.exec(privilege) ?? [undefined, privilege];
      if (isDynamic(name)) {
        found.add(name);
        if (isPassedOn) found.add(`${name}${PASSED_ON}`);
        continue;
      }
      isOfObject = true;
      if (name === 'USAGE') continue;
      if (columns === undefined) found.add(name);
      else for (const column of splitAtCommas(columns)) found.add(`${name} (${column})`);
    }
    if (isPassedOn && isOfObject) found.add('GRANT OPTION');
    if (found.size > 0) rights.set(object, found);
  }
  return rights;
}

const GRANT = new RegExp(
  `^GRANT ((?:${NAME}|[^\`])+?) ON ((?:${NAME}|${STRING}|[^\`'])+?) TO (?:${NAME}|${STRING})(.*)$`,
  's',
);

function isDynamic(name: string): boolean {
  return name.includes('_');
}

/** The granted roles, and whether they may be passed on. */
export function rolesIn(lines: readonly string[]): Map<string, boolean> {
  const roles = new Map<string, boolean>();
  for (const line of lines) {
    const [, names = '', rest = ''] =
      new RegExp(`^GRANT ((?:${NAME}|[@,])+) TO (?:${NAME}|${STRING})(.*)$`, 's').exec(line) ?? [];
    for (const name of splitAtCommas(names)) roles.set(name, / WITH ADMIN OPTION/.test(rest));
  }
  return roles;
}

/** What is taken from a right that reaches further: `REVOKE … ON …`. */
export function revokesIn(lines: readonly string[]): string[] {
  return lines.flatMap((line) => /^REVOKE .* ON .*(?= FROM )/s.exec(line) ?? []);
}

/** Whether a line of SHOW GRANTS is one of those that are read here. */
export function isKnownGrant(line: string): boolean {
  return (
    GRANT.test(line) ||
    rolesIn([line]).size > 0 ||
    /^(?:REVOKE .* ON .* FROM|SET DEFAULT ROLE .* FOR) /s.test(line)
  );
}

/** Privileges on a database that ALL PRIVILEGES there means, as MySQL's manual has them; on what is in it there are fewer. */
const ON_DATABASES = [
  ...[
    'ALTER',
    'ALTER ROUTINE',
    'CREATE',
    'CREATE ROUTINE',
    'CREATE TEMPORARY TABLES',
    'CREATE VIEW',
    'DELETE',
    'DROP',
  ],
  ...[
    'EVENT',
    'EXECUTE',
    'INDEX',
    'INSERT',
    'LOCK TABLES',
    'REFERENCES',
    'SELECT',
    'SHOW VIEW',
    'TRIGGER',
    'UPDATE',
  ],
];

/** Whether somebody who has these rights may give one of them away, or, if not `isGiven`, use it. */
export function mayPassOn(own: Rights, object: string, privilege: string, isGiven = true): boolean {
  // Of PROXY the server does not tell all.
  if (isAccount(object) || privilege === 'USAGE') return true;
  if (isDynamic(privilege.split(' (')[0] ?? '')) {
    const name = privilege.replace(PASSED_ON, '');
    return isCovered(own, object, isGiven ? `${name}${PASSED_ON}` : name);
  }
  const names = privilege === 'ALL PRIVILEGES' && object !== '*.*' ? ON_DATABASES : [privilege];
  const has = isCovered(own, object, privilege) || names.every((name) => isCovered(own, object, name));
  return has && (!isGiven || isCovered(own, object, 'GRANT OPTION'));
}

/** At those outside parentheses and quotes. */
export function splitAtCommas(text: string): string[] {
  return (text.match(/(?:`[^`]*`|\((?:`[^`]*`|[^)`])*\)|[^,(`])+/g) ?? [])
    .map((part) => part.trim())
    .filter(Boolean);
}

/** The statements that give an account what it lacks of the rights of another one. */
export function grantsOfLacking(wanted: Rights, had: Rights, name: string): string[] {
  return [...wanted].flatMap(([object, privileges]) => {
    const lacking = [...privileges].filter((privilege) => !isCovered(had, object, privilege));
    const grant = (names: string[], option: string) =>
      `GRANT ${names.join(', ')} ON ${object} TO ${name}${option}`;
    const ofObject = lacking.filter((privilege) => !isDynamic(privilege.split(' (')[0] ?? ''));
    const named = ofObject.filter((privilege) => privilege !== 'GRANT OPTION');
    const passedOn = lacking.filter((privilege) => isDynamic(privilege) && privilege.endsWith(PASSED_ON));
    const names = passedOn.map((privilege) => privilege.slice(0, -PASSED_ON.length));
    const plain = lacking.filter(
      (privilege) =>
        !ofObject.includes(privilege) && !passedOn.includes(privilege) && !names.includes(privilege),
    );
    const statements: string[] = [];
    if (ofObject.length > 0) {
      const least = isAccount(object) ? 'PROXY' : 'USAGE';
      statements.push(
        grant(named.length > 0 ? named : [least], named.length < ofObject.length ? PASSED_ON : ''),
      );
    }
    if (plain.length > 0) statements.push(grant(plain, ''));
    if (names.length > 0) statements.push(grant(names, PASSED_ON));
    return statements;
  });
}

/**
 * Takes away an account's rights on one database that are fewer than another account has there by a pattern of names: the server
 * goes by the nearest name alone, so that the pattern's rights would not count there.
 */
export function revokesOfNarrower(wanted: Rights, had: Rights, name: string): string[] {
  const patterns = [...wanted].filter(([object]) => isDatabase(object) && /(?<!\\)[%_]/.test(object));
  return [...had.keys()]
    .filter((object) => isDatabase(object) && !wanted.has(object))
    .filter((object) =>
      patterns.some(
        ([pattern, privileges]) =>
          likeOf(pattern).test(object.replaceAll(/\\([%_])/g, '$1')) &&
          [...privileges].some((privilege) => !isCovered(had, object, privilege)),
      ),
    )
    .map((object) => `REVOKE ALL PRIVILEGES ON ${object} FROM ${name}`);
}

function isDatabase(object: string): boolean {
  return new RegExp(`^${NAME}\\.\\*$`, 's').test(object);
}

/** As LIKE reads it. */
function likeOf(pattern: string): RegExp {
  const parts = pattern.match(/\\[%_]|[\s\S]/g) ?? [];
  const text = parts.map((part) => {
    if (part === '%') return '[\\s\\S]*';
    if (part === '_') return '[\\s\\S]';
    return part.replace(/^\\(?=[%_])/, '').replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
  });
  return new RegExp(`^${text.join('')}$`);
}

/** As whom one may act (PROXY). */
function isAccount(object: string): boolean {
  return new RegExp(`^(?:${NAME}|${STRING})@`, 's').test(object);
}

/** By a privilege on the same object, on its database, or everywhere. */
function isCovered(rights: Rights, object: string, privilege: string): boolean {
  if (isAccount(object)) return rights.get(object)?.has(privilege) === true;
  const [database = ''] = /^(?:(?:PROCEDURE|FUNCTION) )?(`(?:[^`]|``)*`)\./.exec(object)?.slice(1) ?? [];
  const [whole = privilege] = privilege.split(' (');
  return [object, `${database}.*`, '*.*'].some((place) => {
    const found = rights.get(place);
    if (found === undefined) return false;
    const hasAll = found.has('ALL PRIVILEGES') && privilege !== 'GRANT OPTION';
    return hasAll || found.has(privilege) || found.has(whole);
  });
}
