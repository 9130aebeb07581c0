/** One indexed image and what fires on it. */

import { fileName, folderOf } from '../lib/format.js';
import { useJson } from '../lib/hooks.js';
import { withQuery } from '../lib/api.js';
import { api, tellingLayer, to } from '../lib/names.js';
import { change } from '../lib/route.js';
import { indexedSource } from '../lib/sources.js';
import { Answer } from '../parts/answer.js';
import { Change } from '../parts/change.js';
import { html, useMemo } from '../parts/html.js';
import { Note } from '../parts/note.js';
import { Failure, Loading } from '../parts/states.js';
import { Why } from '../parts/why.js';
import { Workbench } from '../parts/workbench.js';

const LARGEST = 1024;

function WhyAnswer({ url, ...props }) {
  const { data } = useJson(url);
  return data && html`<${Why} said=${data} own=${data.own} ...${props} />`;
}

export function ImageView({ index, image, query }) {
  const about = useJson(api.image(index, image));
  const layers = useJson(api.index(index));
  const said = useJson(about.data && layers.data && layers.data.output !== null ? about.data.links.answer : null);
  const source = useMemo(() => about.data && indexedSource(about.data), [about.data]);
  const error = about.error ?? layers.error;
  if (error) return html`<${Failure} error=${error} retry=${about.error ? about.retry : layers.retry} />`;
  if (!about.data || !layers.data) return html`<${Loading} what="Fetching the image" />`;
  const data = about.data;
  const size = Math.max(data.width, data.height) > LARGEST ? LARGEST : null;
  const src = withQuery(data.links.picture, { size });
  const picture = { width: data.width, height: data.height, src, call: src, alt: `Image ${data.image}, ${fileName(data.path)}` };
  return html`
    <header class="title"><h1>${fileName(data.path)}${folderOf(data.path) && html` <small>in ${folderOf(data.path)}</small>`}</h1>
      <p>${data.class === null ? 'no class' : html`<a href=${to.images(index, { class: data.class })}>${data.class}</a>`}
        ${' '}· ${data.width} × ${data.height} px · image ${data.image} · <a href=${data.links.file}>original file</a>${' '}
        · <a href=${to.concept(index, { image: data.image })}>which neurons know a part of it?</a></p></header>
    ${layers.data.output !== null && html`<${Answer} index=${index} url=${data.links.answer} />
      <${WhyAnswer} index=${index} url=${data.links.answer} layers=${layers.data.layers} source=${source} image=${picture} query=${query} />`}
    <${Change} key=${data.image} index=${index} layers=${layers.data.layers} said=${said.data} source=${source} id=${query.get('made')}
      onChange=${(made) => change({ made })} />
    <${Workbench} index=${index} layers=${layers.data.layers} source=${source} image=${picture} query=${query} said=${said.data}
      layer=${query.get('layer') ?? tellingLayer(layers.data.layers)} />
    <${Note} index=${index} about=${{ image: data.image }} />`;
}
