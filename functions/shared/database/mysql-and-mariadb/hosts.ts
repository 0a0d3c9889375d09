/**
 * Whether there may be a client that the hosts of two accounts (`user@host`) both let in; where that cannot be told, there is. Hosts
 * are addresses or names, with the wildcards of LIKE, or networks.
 */
export function mayMeet(one: string, other: string): boolean {
  const [a, b] = [one.toLowerCase(), other.toLowerCase()];
  if (a.includes('/') || b.includes('/')) return true;
  // A client of a network has a name beside its address; one of the server's own machine has these.
  const [first = [], second = []] = [a, b].map((host) => (LOCAL.includes(host) ? LOCAL : [host]));
  const isLocal = first === LOCAL || second === LOCAL;
  if (isNumeric(a) !== isNumeric(b) && !isLocal) return true;
  return first.some((left) => second.some((right) => intersect(left, right)));
}

const LOCAL = ['localhost', '127.0.0.1', '::1'];

function isNumeric(host: string): boolean {
  return /^[\d.:%_]+$/.test(host) && /\d/.test(host);
}

/** Whether a text may match both patterns. */
function intersect(one: string, other: string): boolean {
  if (one === '') return /^%*$/.test(other);
  if (one.startsWith('%'))
    return intersect(one.slice(1), other) || (other !== '' && intersect(one, other.slice(1)));
  if (other === '' || other.startsWith('%')) return intersect(other, one);
  const [a, b] = [one[0], other[0]];
  return (a === b || a === '_' || b === '_') && intersect(one.slice(1), other.slice(1));
}
