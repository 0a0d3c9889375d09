import type { ExaminedDeployment } from './examined-deployment.ts';

/** One thing that `doctor` looks at: a file of `checks/` for each. */
export interface Check {
  /** As the table and the JSON name it: a few words. */
  name: string;
  /** The IAM actions that it calls. docs/command-line.md lists those of all checks, and a test compares the two. */
  actions: readonly string[];
  /** When there is something to look at. @default both before a deploy and after it */
  when?: 'before the deploy' | 'deployed';
  /** Those that its findings' `fix` calls besides. @default none */
  fixes?: readonly string[];
  /**
   * Looks. It gives nothing where the deployment has nothing of the kind. What it throws becomes "could not look", with the
   * missing right where AWS refused one.
   */
  run(deployment: ExaminedDeployment): Promise<Finding[]>;
}

/** What a check found of one thing. */
export type Finding = {
  /** Which one: a service, an alarm. @default the deployment as a whole */
  of?: string;
  /** A sentence. Never a secret's value. */
  saw: string;
} & (
  | { status: 'ok' }
  /** `mend`: the exact command, or the lines of the configuration. */
  | {
      status: 'warning' | 'failed';
      mend: string;
      /** Does what `mend` says, where that is safe: it stops nothing that runs, and is undone as easily. @default a person does it */
      fix?: () => Promise<unknown>;
    }
  /** `missing`: the IAM action, where it was for want of one. */
  | { status: 'could not look'; missing?: string }
);

/** Looks at each of several things of which one may be out of reach while others are not. */
export async function ofEach<Item>(
  items: readonly Item[],
  nameOf: (item: Item) => string,
  look: (item: Item) => Promise<Finding | Finding[]>,
): Promise<Finding[]> {
  const found = await Promise.all(
    items.map(async (item): Promise<Finding[]> => {
      try {
        return [await look(item)].flat().map((finding) => ({ of: nameOf(item), ...finding }));
      } catch (error) {
        return [{ of: nameOf(item), ...couldNotLook(error) }];
      }
    }),
  );
  return found.flat();
}

/** Says why something could not be looked at. */
export function couldNotLook(error: unknown): Finding {
  const saw = error instanceof Error ? `${error.message} (${error.name})` : String(error);
  const [, missing] = /not authorized to perform: ([\w-]+:\w+)/.exec(saw) ?? [];
  return { status: 'could not look', saw, ...(missing !== undefined && { missing }) };
}
