/** Text that may stand in a page as it is. */
export interface Html {
  readonly markup: string;
}

/** A piece of a page. Whatever is put in is text, escaped, unless it is a piece itself. */
export function html(parts: TemplateStringsArray, ...values: (Html | string | number)[]): Html {
  return { markup: parts.map((part, index) => part + markupOf(values[index])).join('') };
}

export function join(pieces: readonly Html[]): Html {
  return { markup: pieces.map(raw).join('\n') };
}

export function raw({ markup }: Html): string {
  return markup;
}

/** Markup that does not come from a night's texts as they are. */
export function trusted(markup: string): Html {
  return { markup };
}

/**
 * Numbers stand there as they are, so that they can be read from the page, and grouped for the eye.
 * @param name for a screen reader. @default what is around it names it
 */
export function table(
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
  name?: string,
): Html {
  return html`<table${name === undefined ? '' : html` aria-label="${name}"`}><thead><tr>${join(head.map((name) => html`<th scope="col">${name}</th>`))}</tr></thead>
<tbody>${join(
    rows.map(
      ([first = '', ...others]) =>
        html`<tr><th scope="row">${cell(first)}</th>${join(others.map((value) => html`<td>${cell(value)}</td>`))}</tr>`,
    ),
  )}</tbody></table>`;
}

function cell(value: string | number): Html {
  if (typeof value === 'string') return html`${value}`;
  return html`<data value="${value}">${value.toLocaleString('en', { maximumFractionDigits: 3 })}</data>`;
}

function markupOf(value: Html | string | number | undefined): string {
  if (typeof value === 'object') return value.markup;
  return String(value ?? '').replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
