/** So many letters of a word, one in three, may be wrong for another one to be meant. */
const LETTERS_PER_MISTAKE = 3;
/** So long must a word be for one that goes on where it ends, or the other way round, to be meant. */
const SHORTEST_BEGINNING = 4;

/** The one of the candidates that is meant by a word: `undefined` if none is near. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const given = word.toLowerCase();
  const [first] = candidates
    .map((candidate) => ({ candidate, distance: distanceTo(given, candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  return first && first.distance <= Math.floor(given.length / LETTERS_PER_MISTAKE)
    ? first.candidate
    : undefined;
}

function distanceTo(word: string, candidate: string): number {
  const shorter = Math.min(word.length, candidate.length);
  const isBeginning = candidate.startsWith(word) || word.startsWith(candidate);
  return isBeginning && shorter >= SHORTEST_BEGINNING ? 1 : editDistance(word, candidate);
}

/** How many insertions, deletions and replacements of letters make the one out of the other. */
function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [row, letter] of [...from].entries()) {
    const current = [row + 1];
    for (const [column, other] of [...to].entries())
      current.push(
        Math.min(
          (previous[column] ?? 0) + (letter === other ? 0 : 1),
          (previous[column + 1] ?? 0) + 1,
          (current[column] ?? 0) + 1,
        ),
      );
    previous = current;
  }
  return previous.at(-1) ?? 0;
}
