/** Small charts, as SVG and HTML, each with its figures in words. */

import { count, number, percent, STATE_WORDS } from '../lib/format.js';
import { html } from './html.js';

const STACKED = ['selective', 'mixed', 'unknown', 'dense', 'dead'];

/** Shares of a layer's neurons by state, as one bar. */
export function StateBar({ layer }) {
  const shares = STACKED.map((state) => [state, layer[state] / layer.neurons]).filter(([, share]) => share > 0);
  const words = shares.map(([state, share]) => `${percent(share)} ${state}`).join(', ');
  return html`<div class="state-bar" role="img" aria-label=${words}>
    ${shares.map(([state, share]) => html`<span key=${state} data-state=${state} title=${`${percent(share)} ${state}`}
      style=${{ flexGrow: String(share) }}></span>`)}</div>`;
}

export const StateLegend = () => html`<dl class="legend">${STACKED.filter((state) => state !== 'unknown').map((state) =>
  html`<div key=${state}><dt class="state-chip" data-state=${state}>${state}</dt><dd>${STATE_WORDS[state]}</dd></div>`)}</dl>`;

const WIDTH = 360;
const HEIGHT = 132;
const FOOT = 20;
const HEAD = 30;
const LABEL = 52; // the width of a threshold's label

/** How often each activation occurs, on a logarithmic scale, with the neuron's thresholds. */
export function Histogram({ neuron }) {
  const bins = neuron.histogram;
  const [low, high] = [bins[0].from, bins.at(-1).to];
  const tallest = Math.log1p(Math.max(...bins.map((bin) => bin.count)));
  const x = (value) => ((value - low) / (high - low)) * WIDTH;
  const y = (times) => (Math.log1p(times) / tallest) * (HEIGHT - FOOT - HEAD);
  const base = HEIGHT - FOOT;
  const fires = Math.max(neuron.threshold_0_5, 0);
  // Labels stand on the side where there is room, the outermost line the shortest, so that no line crosses a label.
  const leftwards = x(neuron.threshold_0_1) > WIDTH - LABEL;
  const thresholds = [['1 %', neuron.threshold_1], ['0.5 %', neuron.threshold_0_5], ['0.1 %', neuron.threshold_0_1]];
  const marks = thresholds.map(([label, value], n) => [label, value, leftwards ? 2 - n : n]);
  const words = `Histogram of ${count(bins.reduce((sum, bin) => sum + bin.count, 0))} activations from ${number(low)} to `
    + `${number(high)}. The top 1 % begin at ${number(neuron.threshold_1)}, the top 0.5 % at `
    + `${number(neuron.threshold_0_5)}, where the neuron fires, the top 0.1 % at ${number(neuron.threshold_0_1)}.`;
  return html`<svg class="histogram" viewBox=${`-4 0 ${WIDTH + 8} ${HEIGHT}`} role="img" aria-label=${words}>
    ${bins.map((bin) => html`<rect key=${bin.from} x=${x(bin.from) + 0.5} width=${Math.max(x(bin.to) - x(bin.from) - 1, 0.5)}
      y=${base - y(bin.count)} height=${y(bin.count)} class=${bin.from >= fires ? 'bin bin-fires' : 'bin'}>
      <title>${`${number(bin.from)} to ${number(bin.to)}: ${count(bin.count)}`}</title></rect>`)}
    <path class="axis" d=${`M0 ${base + 0.5}H${WIDTH}`} />
    ${marks.map(([label, value, row]) => html`<g key=${label} class="threshold">
      <path d=${`M${x(value)} ${6 + row * 10}V${base}`} />
      <text x=${leftwards ? Math.max(x(value) - 3, LABEL) : x(value) + 3} y=${9 + row * 10} text-anchor=${leftwards ? 'end' : 'start'}>${`top ${label}`}</text></g>`)}
    <text class="tick" x="0" y=${HEIGHT - 5}>${number(low)}</text>
    <text class="tick" x=${WIDTH} y=${HEIGHT - 5} text-anchor="end">${number(high)}</text>
  </svg>`;
}

/** Shares as bars: `rows` are {key, label, value (0..1), text, link}. */
export const Bars = ({ rows, label }) => html`<ul class="bars" aria-label=${label}>
  ${rows.map((row) => html`<li key=${row.key}>
    ${row.link ? html`<a href=${row.link} data-stay="" title=${row.label}>${row.label}</a>`
      : html`<span title=${row.label}>${row.label}</span>`}
    <span class="bar" aria-hidden="true"><span style=${{ width: `${row.value * 100}%` }}></span></span>
    <span class="bar-text">${row.text}</span></li>`)}</ul>`;
