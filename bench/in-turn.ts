/** Two bundles of functions against each other, in turn. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Bundle } from '../lib/function-bundle.ts';

/** What a function finds in its environment at Lambda, as far as its start needs it. */
export const FUNCTION_ENVIRONMENT = {
  PATH: process.env.PATH,
  AWS_REGION: 'eu-central-1',
  AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
  AWS_SECRET_ACCESS_KEY: 'example',
  AWS_LAMBDA_FUNCTION_NAME: 'bench',
};

/**
 * Writes both into a folder and measures them in turn.
 * @param rounds that count; one before them is only to have the files read.
 * @param measure is told the URL of the bundle's entry.
 */
export async function inTurn<Cost>(
  bundles: Record<'own' | 'bare', Bundle>,
  folder: string,
  rounds: number,
  measure: (url: string) => Cost | Promise<Cost>,
): Promise<Record<'own' | 'bare', Cost[]>> {
  const urls = {
    own: written(bundles.own, join(folder, 'own')),
    bare: written(bundles.bare, join(folder, 'bare')),
  };
  const costs: Record<'own' | 'bare', Cost[]> = { own: [], bare: [] };
  for (let round = 0; round <= rounds; round += 1)
    for (const way of ['own', 'bare'] as const) {
      const cost = await measure(urls[way]);
      if (round > 0) costs[way].push(cost);
    }
  return costs;
}

/** @returns the URL of the bundle's entry. */
function written({ outputFiles }: Bundle, folder: string): string {
  mkdirSync(folder, { recursive: true });
  for (const { path, contents } of outputFiles) writeFileSync(join(folder, basename(path)), contents);
  return pathToFileURL(join(folder, 'index.mjs')).href;
}
