/** One patch: its picture in the chosen view, and the facts about it. */

import { fileName, number } from '../lib/format.js';
import { useJson } from '../lib/hooks.js';
import { withQuery } from '../lib/api.js';
import { to } from '../lib/names.js';
import { html, useState } from './html.js';
import { Picture } from './picture.js';

const SIZE = 320;
const AROUND = 0.3;

export const VIEWS = [['patch', 'patch'], ['around', 'with surroundings'], ['whole', 'whole image'], ['saliency', 'saliency'],
  ['mask', 'mask']];

/** A patch of a neuron; `field` is exact or effective, `highest` is the neuron's highest activation. */
export function PatchCard({ index, patch, view, heat, field, highest }) {
  const link = to.image(index, patch.image, {
    layer: patch.layer, neuron: patch.neuron, cell: `${patch.cell.y},${patch.cell.x}`, box: Object.values(patch.box).join(),
  });
  const share = patch.activation / highest;
  return html`<li class="patch">
    <figure>
      ${view === 'saliency' ? html`<${OnDemand} key="saliency" patch=${patch} field=${field} ask="What moves it?" does="the pixels that move it"
          src=${withQuery(patch.links.saliency, { size: SIZE })} link=${link} />`
        : view === 'mask' ? html`<${OnDemand} key="mask" patch=${patch} field=${field} ask="Mask it" does="masked"
          src=${withQuery(croppedUrl(patch, 'around', false, field), { mask: true, neuron: patch.neuron })} link=${link} />`
        : view === 'whole' ? html`<${Whole} patch=${patch} heat=${heat} field=${field} link=${link} />`
        : html`<${Picture} src=${croppedUrl(patch, view, heat, field)} alt=${describe(patch)} to=${link} />`}
      <figcaption>
        <span class="share" aria-hidden="true"><span style=${{ width: `${share * 100}%` }}></span></span>
        <b>${number(patch.activation)}</b>
        <a class="patch-class" href=${patch.class === null ? link : to.class(index, patch.class, { layer: patch.layer })}
          title=${patch.class ?? 'no class'}>${patch.class ?? 'no class'}</a>
        <span class="quiet patch-file" title=${patch.path}>${fileName(patch.path)} · ${patch.cell.y},${patch.cell.x}</span>
      </figcaption>
    </figure></li>`;
}

const linkOf = (patch, field) => (field === 'effective' ? patch.links.effective_patch : patch.links.patch);

const croppedUrl = (patch, view, heat, field) => withQuery(linkOf(patch, field), {
  size: SIZE,
  context: view === 'around' ? AROUND : null,
  outline: view === 'around' ? true : null,
  heat: heat ? patch.neuron : null,
});

export const describe = (patch) => `Patch of ${fileName(patch.path)}, class ${patch.class ?? 'none'}, `
  + `cell ${patch.cell.y},${patch.cell.x}${'activation' in patch ? `, activation ${number(patch.activation)}` : ''}`;

/** A picture for which the network runs, so it is drawn when it is asked for: `ask` is on the button, `does` says what it shows. */
function OnDemand({ patch, field, ask, does, src, link }) {
  const [asked, setAsked] = useState(false);
  if (asked) return html`<${Picture} src=${src} to=${link} alt=${`${describe(patch)}: ${does}`} />`;
  return html`<${Picture} src=${croppedUrl(patch, 'around', false, field)} alt=${describe(patch)}>
    <button class="button small over-picture" onClick=${() => setAsked(true)}>${ask}</button></${Picture}>`;
}

function Whole({ patch, heat, field, link }) {
  const { data } = useJson(patch.links.image);
  if (!data) return html`<div class="picture" data-is="loading" style=${{ aspectRatio: '1' }}></div>`;
  const src = withQuery(heat ? patch.links.heatmap : data.links.picture, { size: SIZE });
  return html`<${Picture} src=${src} to=${link}
    alt=${`${fileName(patch.path)}, class ${patch.class ?? 'none'}${heat ? ', with heat where the neuron is active' : ''}`}>
    <${Outline} image=${data} boxes=${[field === 'effective' ? patch.effective_box : patch.box]} /></${Picture}>`;
}

/** Boxes over a picture of the whole image, in pixels of the original. */
export const Outline = ({ image, boxes }) => html`<svg class="outline" viewBox=${`0 0 ${image.width} ${image.height}`}
  preserveAspectRatio="xMidYMid meet" aria-hidden="true">
  ${boxes.flatMap((box) => ['outline-under', 'outline-over'].map((kind) => html`<rect class=${kind} x=${box.left} y=${box.top}
    width=${box.right - box.left} height=${box.bottom - box.top} />`))}</svg>`;

/** An indexed patch that is similar to a cell. */
export function SimilarCard({ index, patch }) {
  return html`<li class="patch"><figure>
    <${Picture} src=${withQuery(patch.links.patch, { size: SIZE / 2 })} alt=${describe(patch)}
      to=${to.image(index, patch.image, { layer: patch.layer, cell: `${patch.cell.y},${patch.cell.x}`, box: Object.values(patch.box).join() })} />
    <figcaption><b title="Cosine">${patch.score.toFixed(3)}</b>
      <span class="patch-class" title=${patch.class ?? ''}>${patch.class ?? 'no class'}</span></figcaption></figure></li>`;
}

export const PatchWaiting = () => html`<li class="patch" aria-hidden="true"><figure>
  <div class="picture" data-is="loading" style=${{ aspectRatio: '1' }}></div><figcaption> </figcaption></figure></li>`;
