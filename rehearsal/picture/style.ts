/** The page's, in dark and light. The charts take their colours from here. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #ffffff; --text: #1c2127; --line: #d5dae0; --muted: #626c78;
  --good: #2e8540; --warning: #9a5c00; --bad: #c62828; --alarm: #a3208f; --work: #2866b8; --wait: #b5cdec;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14181d; --text: #e4e8ec; --line: #39424d; --muted: #8b96a3;
    --good: #5fbf74; --warning: #e6a33c; --bad: #ff6b6b; --alarm: #e377d2; --work: #6ea8f0; --wait: #2f4b70;
  }
}
body { margin: 0 auto; padding: 1rem; max-width: 60rem; overflow-wrap: break-word; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; }
h2 { margin-top: 2.5rem; font-size: 1.25rem; border-bottom: 1px solid var(--line); }
figure { margin: 1.5rem 0; }
figcaption { font-weight: 600; }
svg { display: block; max-width: 100%; height: auto; }
.narrow { display: none; }
@media (max-width: 52rem) { .wide { display: none; } .narrow { display: block; } }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: .5rem 0; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .6rem; text-align: left; border-bottom: 1px solid var(--line); }
tbody th { font-weight: normal; }
.figures th { overflow-wrap: anywhere; }
summary { cursor: pointer; overflow-wrap: anywhere; }
details.run { margin: .5rem 0; padding: .4rem .8rem; border: 1px solid var(--line); border-radius: .4rem; }
.outcome { font-weight: 600; }
.succeeded { color: var(--good); } .partial { color: var(--warning); } .failed { color: var(--bad); }
.skipped { color: var(--muted); }
.fault, .problem { border-left: .3rem solid var(--bad); padding-left: .8rem; }
.problem p { margin: .2rem 0; }
`;
