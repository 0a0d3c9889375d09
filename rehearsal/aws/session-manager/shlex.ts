/**
 * Splits a command line as Session Manager's agent does, which is not quite as a shell would (google/shlex): in
 * double quotes each backslash vanishes and takes the next character literally, single quotes are literal, and `#`
 * at the start of a word comments out the rest of its line.
 *
 * @throws Error in shlex's words if a quote is not closed, or nothing follows a backslash
 */
export function splitCommand(command: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let state: 'plain' | 'single' | 'double' | 'comment' = 'plain';
  const characters = [...command][Symbol.iterator]();
  const escaped = () => {
    const { value, done } = characters.next();
    if (done) throw new Error('EOF found after escape character');
    return value;
  };
  for (const character of characters) {
    if (state === 'comment') {
      if (character === '\n') state = 'plain';
    } else if (state === 'single') {
      if (character === "'") state = 'plain';
      else word += character;
    } else if (state === 'double') {
      if (character === '"') state = 'plain';
      else word += character === '\\' ? escaped() : character;
    } else if (SPACES.includes(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (character === '#' && word === undefined) {
      state = 'comment';
    } else {
      word ??= '';
      if (character === "'") state = 'single';
      else if (character === '"') state = 'double';
      else word += character === '\\' ? escaped() : character;
    }
  }
  if (state === 'single' || state === 'double') throw new Error('EOF found when expecting closing quote');
  if (word !== undefined) words.push(word);
  return words;
}

/** Those of shlex, and no others of Unicode. */
const SPACES = ' \t\r\n';
