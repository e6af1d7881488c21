/**
 * The look of the element. It follows the page: `color-scheme` and `font` are
 * inherited, so light or dark is the page's choice. Colours, radius and the
 * height of the captions are custom properties; every part has a `part` name.
 */
const CSS = `
:host {
  --_accent: var(--offhook-accent, light-dark(#0f766e, #2dd4bf));
  --_on-accent: var(--offhook-on-accent, light-dark(#fff, #042f2a));
  --_danger: var(--offhook-danger, light-dark(#b42318, #f2857a));
  --_on-danger: var(--offhook-on-danger, light-dark(#fff, #3b0a06));
  --_text: var(--offhook-text, light-dark(#1a1f25, #e9ecef));
  --_quiet: var(--offhook-quiet, light-dark(#57616c, #a6b0ba));
  --_surface: var(--offhook-surface, light-dark(#fff, #171b20));
  --_well: var(--offhook-well, light-dark(#f4f6f7, #101317));
  --_line: var(--offhook-line, light-dark(#d6dbe0, #363e47));
  --_edge: var(--offhook-edge, light-dark(#78838e, #78838e));
  --_radius: var(--offhook-radius, 14px);
  display: block;
  container-type: inline-size;
  color: var(--_text);
  line-height: 1.5;
  text-align: start;
}
:host([hidden]), [hidden] { display: none !important; }
* { box-sizing: border-box; }
.call {
  display: grid;
  grid-template-columns: minmax(0, 1fr);
  gap: 1rem;
  padding: 1rem;
  border: 1px solid var(--_line);
  border-radius: var(--_radius);
  background: var(--_surface);
}
header { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: baseline; justify-content: space-between; }
.label { margin: 0; font-weight: 600; font-size: 1.0625em; overflow-wrap: anywhere; }
.status { margin: 0; color: var(--_quiet); white-space: nowrap; font-size: .9375em; }
.status::before {
  content: ""; display: inline-block; inline-size: .6em; block-size: .6em; margin-inline-end: .5em;
  border: 2px solid var(--_edge); border-radius: 50%;
}
.status[data-state=connecting]::before { border-color: var(--_accent); }
.recorded { margin: 0; color: var(--_quiet); white-space: nowrap; font-size: .9375em; }
.recorded[data-live] { color: var(--_danger); font-weight: 600; }
.recorded[data-live]::before {
  content: ""; display: inline-block; inline-size: .6em; block-size: .6em; margin-inline-end: .5em;
  border-radius: 50%; background: currentColor;
}
.status[data-state=connected]::before { border-color: var(--_accent); background: var(--_accent); }

.levels { display: grid; gap: .375rem; }
.level { display: grid; grid-template-columns: 4rem minmax(0, 1fr) 4.5rem; gap: .5rem; align-items: center; font-size: .875em; }
.level .name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.doing { color: var(--_quiet); text-align: end; white-space: nowrap; }
.bar { block-size: 6px; border-radius: 3px; background: var(--_line); overflow: hidden; }
.bar::before {
  content: ""; display: block; block-size: 100%; border-radius: 3px; background: var(--_quiet);
  transform: scaleX(var(--level, 0)); transform-origin: left;
}
.bar:dir(rtl)::before { transform-origin: right; }
[data-speaking] .bar::before { background: var(--_accent); }

.stage { display: flex; flex-direction: column; gap: .75rem; block-size: var(--offhook-captions-height, 17rem); }
.stage.bare { block-size: auto; }
.stage.bare:not(:has(.error:not([hidden]))) { display: none; }
.captions {
  flex: 1; min-block-size: 0; overflow-y: auto; overscroll-behavior: contain;
  padding: .875rem 1rem; border-radius: calc(var(--_radius) - 4px); background: var(--_well);
}
.captions p { margin: 0; color: var(--_quiet); }
ol { list-style: none; margin: 0; padding: 0; display: grid; gap: .75rem; }
li { display: grid; gap: .0625rem; }
.speaker { font-size: .8125em; font-weight: 600; color: var(--_quiet); }
li[data-role=assistant] .speaker { color: var(--_accent); }
.text { overflow-wrap: anywhere; white-space: pre-wrap; }
.tail { color: var(--_quiet); }
.mark { font-size: .8125em; font-style: italic; color: var(--_quiet); }
.mark:empty { display: none; }
.mark::before { content: "— "; }

.error {
  padding: .75rem 1rem; border: 1px solid var(--_danger); border-inline-start-width: 5px;
  border-radius: calc(var(--_radius) - 6px); overflow-wrap: anywhere; overflow-y: auto; max-block-size: 70%; flex: none;
}
.error p { margin: 0; }
.error .what { font-weight: 600; }

.controls { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .625rem; }
.controls .main, .controls .wide { grid-column: 1 / -1; }
form { display: flex; gap: .625rem; }
dialog {
  inline-size: min(28rem, calc(100% - 2rem)); padding: 1.25rem; color: inherit; background: var(--_surface);
  border: 1px solid var(--_line); border-radius: var(--_radius); line-height: 1.5; text-align: start;
}
dialog::backdrop { background: rgb(0 0 0 / .5); }
dialog h2 { margin: 0 0 .5rem; font-size: 1.125em; outline: none; }
dialog p { margin: 0 0 1rem; }
.answers { display: grid; gap: .625rem; }
button, input {
  font: inherit; color: inherit; min-block-size: 2.75rem; border-radius: calc(var(--_radius) - 4px);
  border: 1px solid var(--_edge); background: transparent;
}
input { flex: 1; min-inline-size: 0; padding-inline: .875rem; }
input::placeholder { color: var(--_quiet); opacity: 1; }
button {
  display: inline-flex; gap: .5rem; align-items: center; justify-content: center;
  padding-inline: .75rem; font-weight: 500; cursor: pointer;
}
button:hover:enabled { background: var(--_well); }
button[aria-pressed=true] { background: var(--_text); color: var(--_surface); border-color: var(--_text); }
button[aria-pressed=true]:hover:enabled { background: var(--_quiet); }
.main { min-block-size: 3.25rem; font-weight: 600; background: var(--_accent); color: var(--_on-accent); border-color: transparent; }
.main:hover:enabled { background: color-mix(in oklab, var(--_accent) 88%, var(--_text)); }
.main[data-live] { background: var(--_danger); color: var(--_on-danger); }
.main[data-live]:hover:enabled { background: color-mix(in oklab, var(--_danger) 88%, var(--_text)); }
.main[data-live] svg { rotate: 135deg; }
:disabled { opacity: .5; cursor: default; }
:focus-visible { outline: 3px solid var(--_accent); outline-offset: 2px; }
svg { inline-size: 1.25em; block-size: 1.25em; flex: none; fill: none; stroke: currentColor; stroke-width: 1.8;
  stroke-linecap: round; stroke-linejoin: round; }
[aria-pressed=false] path:nth-child(2) { display: none; }
.unseen { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

@container (min-width: 32rem) {
  .call { padding: 1.25rem; }
  .controls { grid-template-columns: 2fr 1fr 1fr; }
  .controls .main { grid-column: auto; }
  .controls button { min-block-size: 3.25rem; }
}
@media (prefers-reduced-motion: reduce) {
  [data-speaking] .bar::before { transform: none; }
}
@media (forced-colors: active) {
  .bar { border: 1px solid CanvasText; }
  .bar::before { background: Highlight; forced-color-adjust: none; }
}
`;

/** @type {CSSStyleSheet | undefined} */
let sheet;

/** Made on first use, so that importing the module needs no browser, and shared by all elements. */
export function style() {
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(CSS);
  }
  return sheet;
}
