/** The images of an index. */

import { fileName } from '../lib/format.js';
import { useJson, useList } from '../lib/hooks.js';
import { withQuery } from '../lib/api.js';
import { api, to } from '../lib/names.js';
import { change } from '../lib/route.js';
import { Choice, classOptions } from '../parts/controls.js';
import { html } from '../parts/html.js';
import { Picture } from '../parts/picture.js';
import { Empty, Failure, More } from '../parts/states.js';

const PAGE = 24;

export function ImagesView({ index, query }) {
  const name = query.get('class');
  const depth = Math.max(PAGE, Number(query.get('depth')) || PAGE);
  const classes = useJson(withQuery(api.classes(index), { limit: 1000 }));
  const list = useList(withQuery(api.images(index), { class: name }), PAGE, depth);
  if (list.error && !list.items.length) return html`<h1>Images</h1><${Failure} error=${list.error} retry=${list.retry} />`;
  return html`
    <header class="title"><h1>Images${name ? html` <small>of ${name}</small>` : ''}</h1>
      <p><a href=${to.concept(index)}>Which neurons know what some images have in common?</a></p></header>
    <div class="controls"><${Choice} label="Class" value=${name} options=${classOptions(classes.data?.items)}
      onChange=${(value) => change({ class: value, depth: null })} /></div>
    ${!list.loading && !list.items.length
      ? html`<${Empty} title="No images"><p>The index holds none${name ? ` of ${name}` : ''}.</p></${Empty}>`
      : html`<ul class="patches">${list.items.map((image) => html`<${ImageCard} key=${image.image} index=${index} image=${image} />`)}
        </ul><${More} list=${list} shown=${list.items.length} what="images"
          onMore=${() => change({ depth: depth + 2 * PAGE }, { replace: true })} />`}`;
}

export const ImageCard = ({ index, image, score = null }) => html`<li class="patch"><figure>
  <${Picture} src=${withQuery(image.links.picture, { size: 320 })} to=${to.image(index, image.image)}
    alt=${`${fileName(image.path)}, class ${image.class ?? 'none'}`} />
  <figcaption>${score !== null && html`<b title="Cosine">${score.toFixed(3)}</b>`}
    <span class="patch-class" title=${image.class ?? ''}>${image.class ?? 'no class'}</span>
    <span class="quiet patch-file" title=${image.path}>${fileName(image.path)}</span></figcaption></figure></li>`;
