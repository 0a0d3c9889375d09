import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import type { Night } from '../../../rehearsal/night-checks.ts';

/** Opens a night's page as an operator does, on a screen and on a phone, in light and in dark. */
export async function assertNightPage(browser: Browser, html: string, night: Night): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'night-page-'));
  const file = join(folder, 'night.html');
  writeFileSync(file, html);
  const page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
  try {
    const said: string[] = [];
    const asked: string[] = [];
    page.on('console', (message) => said.push(message.text()));
    page.on('pageerror', (error) => said.push(error.message));
    page.on('request', (request) => asked.push(request.url()));
    await page.goto(pathToFileURL(file).href);
    assert.deepEqual(said, []);
    assert.deepEqual(
      asked.filter((url) => !url.startsWith('data:')),
      [pathToFileURL(file).href],
    );
    await assertFigures(page, night);
    await assertTables(page);
    await assertShown(page, 'wide');
    const light = await coloursOf(page);
    await page.emulateMedia({ colorScheme: 'dark' });
    const dark = await coloursOf(page);
    for (const { text, background } of [light, dark])
      assert.ok(Math.abs(brightness(text) - brightness(background)) > 150, `${text} on ${background}`);
    assert.ok(brightness(light.background) > brightness(dark.background));
    assert.notEqual(light.bar, dark.bar);
    await page.setViewportSize({ width: 360, height: 800 });
    await assertShown(page, 'narrow');
    await page.$$eval('details.run', (runs) => {
      for (const run of runs) run.setAttribute('open', '');
    });
    assert.deepEqual(await page.evaluate(CUT_TEXTS), [], 'cut in the charts of runs');
    assert.ok((await page.locator('.figures').count()) > 0);
    // Figures beside their names: no value is to be looked for behind the edge of a phone.
    for (const figures of await page.locator('.figures').all()) {
      const [needed, there] = await figures.evaluate(({ scrollWidth, clientWidth }) => [
        scrollWidth,
        clientWidth,
      ]);
      assert.ok((needed ?? 0) <= (there ?? 0), `figures ${needed} wide of ${there}`);
    }
  } finally {
    await page.close();
    rmSync(folder, { recursive: true });
  }
}

/** What the page shows of each run is what its report says. */
async function assertFigures(page: Page, { runs, rows, logins, logs }: Night): Promise<void> {
  const shown = await page.$$eval('details.run', (details) =>
    details.map((run) => ({
      runId: run.dataset.run,
      outcome: run.querySelector('.outcome')?.textContent,
      figures: Object.fromEntries(
        [...(run.querySelector('table')?.tBodies[0]?.rows ?? [])].map(({ cells }) => [
          cells[0]?.textContent,
          Number(cells[1]?.querySelector('data')?.value),
        ]),
      ),
    })),
  );
  assert.deepEqual(
    shown,
    runs.map(({ runId, outcome, figures }) => ({ runId, outcome, figures })),
  );
  for (const [deployment, { left, deleted }] of Object.entries(rows)) {
    if (deleted === 0) continue;
    const counted = await column(page, `Rows of messages of ${deployment}`, 1);
    assert.equal(counted[0], left.messages + deleted);
    assert.equal(counted.at(-1), left.messages);
  }
  for (const [deployment, { before, after, containers }] of Object.entries(logs)) {
    const freed = await column(page, `Bytes freed in the containers of ${deployment}`, 2);
    assert.equal(freed.length, containers);
    assert.equal(sum(freed), before - after);
  }
  for (const { deployment, made, failed } of logins) {
    const seconds = await Promise.all(
      [1, 2, 4].map((index) => column(page, `Logins of ${deployment}`, index)),
    );
    const [old = [], fresh = [], refused = []] = seconds;
    assert.equal(sum(old) + sum(fresh), made);
    assert.equal(sum(refused), failed);
    assert.ok(sum(old) > 0 && sum(fresh) > 0, `${deployment}: logins with both passwords`);
  }
}

/** The numbers of a column of the last table behind a chart. */
function column(page: Page, chart: string, index: number): Promise<number[]> {
  return page
    .locator('figure')
    .filter({ has: page.locator('figcaption', { hasText: chart }) })
    .locator('table')
    .last()
    .evaluate(
      (table, index) =>
        [...(table.tBodies[0]?.rows ?? [])].map(({ cells }) =>
          Number(cells[index]?.querySelector('data')?.value),
        ),
      index,
    );
}

/** A screen reader is told of each chart by a name, and reads its figures in a table with headings. */
async function assertTables(page: Page): Promise<void> {
  for (const figure of await page.locator('figure').all()) {
    const title = await figure.locator('figcaption').textContent();
    const chart = figure.locator('[role=img]');
    assert.match(
      (await chart.getAttribute('aria-label')) ?? '',
      new RegExp(`^${title?.replaceAll(/[.()]/g, '.')}`),
    );
    assert.ok((await figure.locator('table th[scope=col]').count()) > 1, `${title}: a table with headings`);
    assert.ok((await figure.locator('table th[scope=row]').count()) > 0, `${title}: a table with rows`);
  }
  // A table that no summary names has a name of its own.
  assert.equal(await page.locator('table:not([aria-label]):not(figure details table)').count(), 0);
  assert.equal(await page.locator('html').getAttribute('lang'), 'en');
  assert.equal(await page.locator('h1').count(), 1);
}

/** Each open chart is there in the size that fits, and nothing stands out of the page. */
async function assertShown(page: Page, size: 'wide' | 'narrow'): Promise<void> {
  const charts = await page.$$eval('main > section > figure', (figures) =>
    figures.map((figure) => ({
      title: figure.querySelector('figcaption')?.textContent,
      shown: ['wide', 'narrow'].filter(
        (each) => figure.querySelector(`.${each} svg`)?.getBoundingClientRect().width,
      ),
      marks: figure.querySelectorAll('svg .mark-rect path, svg .mark-area path').length,
    })),
  );
  assert.ok(charts.length >= 3);
  for (const { title, shown, marks } of charts) {
    assert.deepEqual(shown, [size], `${title}`);
    assert.ok(marks > 0, `${title} has marks`);
  }
  assert.deepEqual(await page.evaluate(CUT_TEXTS), [], `${size}: what stands out of its chart is cut`);
  const [needed, there] = await page
    .locator('html')
    .evaluate(({ scrollWidth, clientWidth }) => [scrollWidth, clientWidth]);
  assert.ok((needed ?? 0) <= (there ?? 0), `the page is ${needed} wide of ${there}`);
}

/** Names and legends that stand out of their chart, and names without their end. Of what is shown: charts of closed runs are not. */
const CUT_TEXTS = `[...document.querySelectorAll('svg')].flatMap((svg) => {
  const { left, right, top, bottom, width } = svg.getBoundingClientRect();
  if (width === 0) return [];
  return [...svg.querySelectorAll('text')].flatMap((text) => {
    const box = text.getBoundingClientRect();
    const isIn = box.left >= left - 1 && box.right <= right + 1 && box.top >= top - 1 && box.bottom <= bottom + 1;
    return box.width === 0 || (isIn && !text.textContent.endsWith('…')) ? [] : [text.textContent];
  });
})`;

async function coloursOf(page: Page): Promise<{ text: string; background: string; bar: string }> {
  return page.locator('body').evaluate((body) => {
    const styleOf = (element: typeof body) => body.ownerDocument.defaultView.getComputedStyle(element);
    const { color: text, backgroundColor: background } = styleOf(body);
    return { text, background, bar: styleOf(body.querySelector('svg .mark-rect path')).fill };
  });
}

function brightness(colour: string): number {
  return sum((colour.match(/\d+/g) ?? []).slice(0, 3).map(Number)) / 3;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
