/** The reader's own image: the neurons that fire on it, and the indexed patches and images nearest to it. */

import { bytes } from '../lib/format.js';
import { useAnswer, useJson } from '../lib/hooks.js';
import { api, tellingLayer } from '../lib/names.js';
import { uploadedSource } from '../lib/sources.js';
import { useUpload } from '../lib/upload.js';
import { Said } from '../parts/answer.js';
import { Change } from '../parts/change.js';
import { Chooser } from '../parts/drop.js';
import { html, useMemo, useState } from '../parts/html.js';
import { SimilarCard } from '../parts/patch-card.js';
import { Failure, Loading } from '../parts/states.js';
import { Why } from '../parts/why.js';
import { WhyLayers } from '../parts/why-layers.js';
import { Workbench } from '../parts/workbench.js';
import { ImageCard } from './images.js';

const LIMIT = 6;

export function LookupView({ index, query }) {
  const upload = useUpload();
  const about = useJson(api.index(index));
  if (about.error) return html`<${Failure} error=${about.error} retry=${about.retry} />`;
  if (!about.data) return html`<${Loading} what="Opening the index" />`;
  if (!upload) return html`<${Invitation} index=${index} />`;
  const layer = query.get('layer') ?? tellingLayer(about.data.layers);
  return html`<${Looked} key=${upload.number} index=${index} upload=${upload} layers=${about.data.layers} layer=${layer}
    query=${query} url=${about.data.links.lookup} />`;
}

const Invitation = ({ index }) => html`<div class="state invitation">
  <h1>An image of your own</h1>
  <div class="state-text"><p>Drop one anywhere on this page, paste it, or choose it. The service runs the network of this index on
    it and keeps nothing of it unless you ask for a job, so this page is empty when you open it again.</p></div>
  <${Chooser} index=${index} label="Choose an image" /></div>`;

function Looked({ index, upload, layers, layer, query, url }) {
  const [sent, setSent] = useState(0);
  const source = useMemo(() => uploadedSource(index, url, upload.file, setSent), [url, upload]);
  const found = useAnswer(() => source.lookup(layer, LIMIT), [source, layer]);
  const [first, setFirst] = useState(null);
  const [made, setMade] = useState(null);
  if (found.data && first === null) setFirst(found.data);
  const title = html`<header class="title"><h1>${upload.file.name || 'Pasted image'}</h1>
    <p>${bytes(upload.file.size)}${first ? ` · ${first.width} × ${first.height} px` : ''}</p></header>`;
  if (found.error) return html`${title}<${Refused} index=${index} error=${found.error} retry=${found.retry} file=${upload.file} />`;
  if (!first) return html`${title}<${Progress} sent=${sent} file=${upload.file} />`;
  const image = { width: first.width, height: first.height, src: upload.url, alt: 'Your image', call: null };
  const near = found.data && html`<section><h2>Nearest images</h2><ul class="patches patches-small">
    ${found.data.images.map((one) => html`<${ImageCard} key=${one.image} index=${index} image=${one} score=${one.score} />`)}</ul></section>
    <section><h2>Nearest patches to its strongest cell</h2><ul class="patches patches-small">
    ${found.data.patches.map((one) => html`<${SimilarCard} key=${one.image} index=${index} patch=${one} />`)}</ul></section>`;
  return html`${title}${first.answer && html`<${Said} index=${index} said=${first.answer} />
    <${Why} index=${index} layers=${layers} said=${first.answer} source=${source} image=${image} query=${query} />
    ${layers.length > 1 && html`<${WhyLayers} index=${index} file=${upload.file} />`}`}
    <${Change} index=${index} layers=${layers} said=${first.answer} source=${source} id=${made} onChange=${setMade} uploaded />
    <${Workbench} index=${index} layers=${layers} layer=${layer} image=${image} source=${source} query=${query}
    said=${first.answer} aside=${near} />`;
}

function Progress({ sent, file }) {
  const words = sent < 1 ? `Sending ${bytes(file.size)}: ${Math.round(sent * 100)} %` : 'The network is looking at it … The first image takes longest.';
  return html`<div class="state" role="status"><progress value=${sent < 1 ? sent : null} aria-label="Upload"></progress>
    <p>${words}</p></div>`;
}

const REFUSALS = {
  'too-large': (file) => `The file has ${bytes(file.size)}. Scale it down and try again; a network sees small images anyway.`,
  'unsupported-media-type': () => 'It takes photographs in the usual formats: JPEG, PNG, WebP, GIF, TIFF, BMP, AVIF.',
  'image-rejected': () => 'The file may be cut short or damaged. Open it in an image program and save it again.',
};

const Refused = ({ index, error, retry, file }) => html`<${Failure} error=${error} retry=${error.status >= 500 || error.status === 0 ? retry : null}>
  ${REFUSALS[error.kind] && html`<p>${REFUSALS[error.kind](file)}</p>`}
  <p><${Chooser} index=${index} label="Choose another image" /></p></${Failure}>`;
