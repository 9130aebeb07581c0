/** Neurons that fire on an image, each with the patches that it fires for elsewhere. */

import { number, percentile } from '../lib/format.js';
import { tilesOf, to } from '../lib/names.js';
import { html } from './html.js';
import { called, Tiles } from './neuron-card.js';

/** `looked` is the neuron whose heat is shown for now, `pinned` the one whose heat stays. */
export function FiringList({ index, items, pinned, onLook, onPin }) {
  return html`<ul class="firing" onMouseLeave=${() => onLook(null)}>
    ${items.map((item) => html`<${FiringRow} key=${`${item.layer} ${item.neuron}`} index=${index} item=${item}
      pinned=${item.neuron === pinned} onLook=${onLook} onPin=${onPin} />`)}</ul>`;
}

function FiringRow({ index, item, pinned, onLook, onPin }) {
  return html`<li onMouseEnter=${() => onLook(item)} onFocusIn=${() => onLook(item)} data-pinned=${pinned ? '' : null}>
    <div class="firing-line">
      <a href=${to.neuron(index, item.layer, item.neuron)}>Neuron <b>${item.neuron}</b>${called(item) && ` ${called(item)}`}</a>
      <span class="quiet">activation ${number(item.activation)}</span>
      <span class="quiet" title="Share of its activations in the index that are lower">above ${percentile(item.percentile)} %</span>
      <button class="button small" aria-pressed=${pinned} onClick=${() => onPin(pinned ? null : item)}
        aria-label=${`Keep the heat of neuron ${item.neuron} on the image`}>heat</button>
    </div>
    <${Tiles} src=${tilesOf(index, item.layer, item.neuron)} layer=${item.layer} neuron=${item.neuron} columns=${6} rows=${1}
      link=${to.neuron(index, item.layer, item.neuron)} />
  </li>`;
}
