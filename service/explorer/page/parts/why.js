/** Why the network answers so: the neurons that pushed an output up or down, for an indexed and for an uploaded image. */

import { many, number } from '../lib/format.js';
import { useAnswer } from '../lib/hooks.js';
import { tellingLayer, tilesOf, to } from '../lib/names.js';
import { change } from '../lib/route.js';
import { Choice } from './controls.js';
import { html, useState } from './html.js';
import { called, Tiles } from './neuron-card.js';
import { Bare } from './picture.js';
import { Failure, Loading } from './states.js';

const EACH = 5;
const STRONGEST = 0.8;

/** `said` is the answer on the image, `own` the output of its class or null; the rest is as for the workbench. */
export function Why({ index, layers, said, own = null, source, image, query }) {
  const before = layers.filter((one) => one.layer !== said.layer);
  if (!before.length) return null;
  if (!query.has('why')) {
    return html`<p class="why-ask"><button class="button" onClick=${() => change({ why: tellingLayer(before) })}>Why this answer?</button></p>`;
  }
  const known = before.some((one) => one.layer === query.get('why'));
  const asked = { layer: known ? query.get('why') : tellingLayer(before), for: query.get('for') ?? String(said.answers[0].output), against: query.get('against') };
  return html`<${Explained} index=${index} layers=${before} outputs=${outputsOf(said, own)} asked=${asked} source=${source} image=${image} />`;
}

/** The outputs to choose from: the highest, and that of the image's own class. */
function outputsOf(said, own) {
  const outputs = own && !said.answers.some((one) => one.output === own.output) ? [...said.answers, own] : said.answers;
  return outputs.map((one) => [String(one.output), one.name]);
}

function Explained({ index, layers, outputs, asked, source, image }) {
  const { data, error, retry } = useAnswer(() => source.why({ ...asked, limit: EACH }), [source, asked.layer, asked.for, asked.against]);
  const [looked, setLooked] = useState(null);
  const [pinned, setPinned] = useState(null);
  const all = data ? [...data.up, ...data.down] : [];
  const shown = all.find((one) => one.neuron === (looked ?? pinned)) ?? all[0] ?? null;
  const others = [['', 'nothing'], ...outputs.filter(([output]) => output !== asked.for)];
  const list = (items) => html`<${List} index=${index} data=${data} items=${items} shown=${shown} pinned=${pinned}
    onLook=${setLooked} onPin=${setPinned} />`;
  return html`<section class="why" aria-label="Why this answer">
    <h2>Why this answer <button class="button small" onClick=${() => change({ why: null, for: null, against: null })}>Close</button></h2>
    <div class="controls">
      <${Choice} label="Neurons of" value=${asked.layer} options=${layers.map((one) => [one.layer, one.layer])}
        onChange=${(value) => change({ why: value })} />
      <${Choice} label="Explain" value=${asked.for} options=${withAsked(outputs, asked.for)}
        onChange=${(value) => change({ for: value, against: value === asked.against ? null : asked.against })} />
      <${Choice} label="Against" value=${asked.against} options=${withAsked(others, asked.against)}
        onChange=${(value) => change({ against: value })} /></div>
    ${error && html`<${Failure} error=${error} retry=${retry} />`}
    ${!data && !error && html`<${Loading} what="Running the network. The first time takes longest" />`}
    ${data && html`<p class="quiet">${summary(data)}</p>
      <div class="why-parts">
        <div><${Heated} image=${image} places=${data.heat} shown=${shown} />
          <p class="quiet stage-note" role="status">${shown ? `Where the contribution of neuron ${shown.neuron} comes from.` : 'No neuron contributes.'}</p></div>
        <div><h3>Pushed it up <small class="quiet">${ofAll(data.up, data.pushing_up)}</small></h3>${list(data.up)}</div>
        <div><h3>Pushed it down <small class="quiet">${ofAll(data.down, data.pushing_down)}</small></h3>${list(data.down)}</div>
      </div>`}
  </section>`;
}

/** The options, with the value asked for among them, which a URL may name. */
const withAsked = (options, value) => (!value || options.some(([option]) => option === value) ? options : [...options, [value, value]]);

function summary(data) {
  const explained = data.against ? `${data.for.name} less ${data.against.name}` : data.for.name;
  return `${explained}: ${number(data.value)}. Listed by gradient × activation, an estimate; “without it” is the exact change `
    + `when that neuron alone is silenced and the network runs again ${data.way}.`;
}

const ofAll = (items, all) => `${items.length} of ${many(all, 'neuron')}`;

function List({ index, data, items, shown, pinned, onLook, onPin }) {
  if (!items.length) return html`<p class="quiet">None.</p>`;
  return html`<ul class="firing" onMouseLeave=${() => onLook(null)}>${items.map((one) => html`<li key=${one.neuron}
    onMouseEnter=${() => onLook(one.neuron)} onFocusIn=${() => onLook(one.neuron)} data-pinned=${one === shown ? '' : null}>
    <div class="firing-line">
      <a href=${to.neuron(index, data.layer, one.neuron)}>Neuron <b>${one.neuron}</b>${called(one) && ` ${called(one)}`}</a>
      <span title="Gradient times activation, summed over its map: an estimate">${signed(one.contribution)}</span>
      <span class="quiet" title="The exact change when it alone is silenced">without it ${signed(one.effect)}</span>
      <button class="button small" aria-pressed=${one.neuron === pinned} onClick=${() => onPin(one.neuron === pinned ? null : one.neuron)}
        aria-label=${`Keep the heat of neuron ${one.neuron} on the picture`}>heat</button>
    </div>
    ${one.answer_without.output !== data.answer.output && html`<p class="quiet">Without it the answer is
      ${' '}<b>${one.answer_without.name}</b>.</p>`}
    <${Tiles} src=${tilesOf(index, data.layer, one.neuron)} layer=${data.layer} neuron=${one.neuron} columns=${6} rows=${1}
      link=${to.neuron(index, data.layer, one.neuron)} /></li>`)}</ul>`;
}

const signed = (value) => `${value > 0 ? '+' : ''}${number(value)}`;

/** The picture, with the cells of a neuron's map in the colour of what they add or take. */
function Heated({ image, places, shown }) {
  return html`<div class="why-picture" style=${{ aspectRatio: `${image.width} / ${image.height}` }}>
    <${Bare} src=${image.src} alt=${shown ? `${image.alt}, with the share of neuron ${shown.neuron}` : image.alt} />
    <svg viewBox=${`0 0 ${image.width} ${image.height}`} preserveAspectRatio="none" aria-hidden="true">
      ${shown && cells(shown.heat, places, image)}</svg></div>`;
}

function cells(heat, places, image) {
  const [rows, columns] = [edges(places.y, image.height), edges(places.x, image.width)];
  const most = Math.max(...heat.flat().map(Math.abs)) || 1;
  return heat.flatMap((row, y) => row.map((value, x) => value !== 0 && html`<rect key=${`${y} ${x}`}
    class=${value > 0 ? 'why-up' : 'why-down'} x=${columns[x]} y=${rows[y]} width=${columns[x + 1] - columns[x]}
    height=${rows[y + 1] - rows[y]} fill-opacity=${(STRONGEST * Math.abs(value)) / most} />`));
}

/** Where cells end: half way between their centres; a single one covers the side. */
function edges(centres, side) {
  if (centres.length === 1) return [0, side];
  const between = centres.slice(1).map((centre, i) => (centre + centres[i]) / 2);
  return [2 * centres[0] - between[0], ...between, 2 * centres.at(-1) - between.at(-1)];
}
