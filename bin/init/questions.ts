import { checkbox, confirm, input, select } from '@inquirer/prompts';

/** A person, or what takes one's place where there is no terminal: then every answer is a flag's, or what is usual. */
export interface Asker {
  /** @param usual what Enter takes */
  text(question: string, usual: string, problem?: (answer: string) => string | undefined): Promise<string>;
  one<Value>(question: string, choices: { name: string; value: Value }[]): Promise<Value>;
  /** @param usual those that are chosen at first */
  several<Value>(
    question: string,
    choices: { name: string; value: Value }[],
    usual: readonly Value[],
  ): Promise<Value[]>;
  agrees(question: string): Promise<boolean>;
}

/** Asks beside what standard output is for. */
const ASIDE = { output: process.stderr };

/** Asks on the terminal. */
export const ON_TERMINAL: Asker = {
  text: (message, usual, problem) =>
    input(
      {
        message,
        ...(usual !== '' && { default: usual }),
        validate: (answer) => problem?.(answer) ?? true,
      },
      ASIDE,
    ),
  one: (message, choices) => select({ message, choices }, ASIDE),
  several: (message, choices, usual) =>
    checkbox(
      {
        message,
        choices: choices.map((choice) => ({ ...choice, checked: usual.includes(choice.value) })),
      },
      ASIDE,
    ),
  agrees: (message) => confirm({ message, default: false }, ASIDE),
};
