import * as vega from 'vega';
import { type Config, compile } from 'vega-lite';
import type { Chart, ChartSize } from './charts.ts';

/** For a screen, and for a phone: the page shows the one that fits. */
const SIZES: Record<'wide' | 'narrow', ChartSize> = {
  wide: { width: 860, labels: 300 },
  narrow: { width: 330, labels: 'above' },
};

/** Of a letter, in widths of its font's size: of proportional fonts, with room to spare. */
const LETTER_WIDTH = 0.58;

/** Vega's types do not have what its module has. Without a canvas it takes a letter for 0.8 wide, which leaves a phone no room for a chart. */
const { textMetrics } = vega as unknown as {
  textMetrics: { width: (item: { fontSize?: number }, text: unknown) => number };
};
textMetrics.width = ({ fontSize = 11 }, text) => LETTER_WIDTH * fontSize * String(text ?? '').length;

const TEXT = 'var(--text)';
const FONT = 'system-ui, sans-serif';

/** Colours by the page's own variables, so that one drawing is right in dark and in light. What it says stands in a table too. */
const CONFIG: Config = {
  aria: false,
  background: 'transparent',
  font: FONT,
  view: { stroke: null },
  axis: {
    labelColor: TEXT,
    titleColor: TEXT,
    titleFontWeight: 'normal',
    gridColor: 'var(--line)',
    domainColor: 'var(--line)',
    tickColor: 'var(--line)',
  },
  legend: { labelColor: TEXT, titleColor: TEXT },
  text: { fontSize: 11 },
};

/** A chart as SVG, in both sizes. */
export async function draw(chart: Chart): Promise<Record<keyof typeof SIZES, string>> {
  const [wide, narrow] = await Promise.all([svgOf(chart(SIZES.wide)), svgOf(chart(SIZES.narrow))]);
  return { wide, narrow };
}

async function svgOf(spec: ReturnType<Chart>): Promise<string> {
  // With its labels it is as wide as it says. Charts one below the other do not know that.
  const autosize = 'vconcat' in spec ? {} : { autosize: { type: 'fit-x', contains: 'padding' } as const };
  const { spec: compiled } = compile(
    { ...spec, ...autosize, padding: 4 },
    {
      config: CONFIG,
      // It warns of what it settles by itself, such as of a step's height.
      logger: vega.logger(vega.Error),
    },
  );
  const view = new vega.View(vega.parse(compiled), { renderer: 'none' });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}
