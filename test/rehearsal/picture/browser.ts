import { glob } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';
import { PackagesUnavailable, unpackedPackages } from '../../../rehearsal/databases/debian-packages.ts';

/** The smallest of Debian's browsers, and a font for it. */
const PACKAGES = ['chromium-headless-shell', 'fonts-dejavu-core'];

/** Debian's Chromium, fetched once into the checkout's cache. A text: why there is none, outside CI. */
export async function startBrowser(): Promise<Browser | string> {
  try {
    const { root } = await unpackedPackages('stable', PACKAGES);
    const libraries = new Set<string>();
    // The C library among them is of the machine's own suite, and so goes with its loader.
    for await (const file of glob('{usr/,}lib/*-linux-gnu/{,pulseaudio/}*.so*', { cwd: root }))
      libraries.add(dirname(join(root, file)));
    return await chromium.launch({
      executablePath: join(root, 'usr/lib/chromium/chromium-headless-shell'),
      args: ['--no-sandbox'],
      env: { ...process.env, LD_LIBRARY_PATH: [...libraries].join(':'), FONTCONFIG_SYSROOT: root },
    });
  } catch (error) {
    if (!(error instanceof PackagesUnavailable) || process.env.CI) throw error;
    return error.message;
  }
}
